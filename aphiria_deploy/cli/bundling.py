"""The bundle of a command: from a file, or made by the site, with every image pinned; checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from aphiria_deploy import bundle as bundles
from aphiria_deploy.bundle import Bundle, EnvironmentKind
from aphiria_deploy.errors import InputError
from aphiria_deploy.registry import Login, inspect, resolve
from aphiria_deploy.settle import plan_images, require_chosen_images, require_revision, settle_images
from aphiria_deploy.shapes import require_shapes
from aphiria_deploy.site import load_site, project_folder


def read_bundle(path: Path, environment: str) -> Bundle:
    """Reads a bundle from a file, checks that it is the environment's, and runs the preflight rules over it.

    Raises:
        InputError: It is not the environment's, or there are errors among the findings.
        BundleError: It is no bundle.
    """
    found = read_unchecked(path, environment)
    require_preflight(found)
    return found


def read_unchecked(path: Path, environment: str) -> Bundle:
    """Reads a bundle from a file, of what is to be removed: whether it may be deployed is not asked.

    Raises:
        InputError: It is not the environment's.
        BundleError: It is no bundle.
    """
    found = bundles.read(path)
    if found.environment.name != environment:
        raise InputError(f"{path}: environment: found {found.environment.name}, expected {environment}")
    require_shapes(found, str(path))
    return found


def require_preflight(bundle: Bundle) -> None:
    """Runs the preflight rules over a bundle.

    Raises:
        InputError: There are errors among the findings; it lists them.
    """
    from aphiria_deploy.preflight import check_bundle

    if errors := check_bundle(bundle).errors:
        lines = [f"  {one.rule}: {one.kind} {one.namespace}/{one.name}: {one.message}: {one.hint}" for one in errors]
        raise InputError(
            f"{bundle.environment.name}: found {len(errors)} errors in its manifests, expected none:\n"
            + "\n".join(lines)
        )


def make_bundle(environment: str, images: Mapping[str, str]) -> Bundle:
    """Has the site make an environment's bundle, unless one is kept of the very same sources and inputs.

    Args:
        environment: The environment.
        images: References, pinned where the environment asks for it.

    Raises:
        InputError: There is no site, or what it was given is not valid.
    """
    from aphiria_deploy.bundle_cache import cached_bundle

    folder = project_folder(Path.cwd())
    try:
        return cached_bundle(folder, environment, images, lambda: load_site(folder).bundle(environment, images))
    except ValueError as error:
        raise InputError(str(error)) from error


def pinned_images(
    environment: str, given: Mapping[str, str], names: Collection[str], logins: Callable[[], Mapping[str, Login]]
) -> dict[str, str]:
    """Gives images pinned to their digests, by asking the registries for tags.

    Args:
        environment: The environment.
        given: References, by the images' names.
        names: The names that the site knows.
        logins: Gives the logins to registries.

    Raises:
        InputError: A name or a reference is not one, or leads to nothing.
        UnavailableError: A registry does not answer, or refuses.
    """
    kind = EnvironmentKind.LOCAL if environment == "local" else EnvironmentKind.PREVIEW
    return settle_images(given, kind, lambda tags: resolve(tags, logins()), names=names)


def needs_registry(environment: str, given: Mapping[str, str]) -> bool:
    """Whether a registry has to be asked for a digest."""
    kind = EnvironmentKind.LOCAL if environment == "local" else EnvironmentKind.PREVIEW
    return bool(plan_images(given, kind).tags)


def require_deployable(
    bundle: Bundle,
    commit: str | None,
    given: Collection[str],
    logins: Callable[[], Mapping[str, Login]],
    *,
    samples: bool = False,
) -> None:
    """Checks that somebody chose each image, and that the site's own are of the commit, where one is given.

    The site's own are those of its private registries, and whatever the command line gives in their place.

    Args:
        bundle: The bundle.
        commit: The commit.
        given: The names of the images that the command line gives.
        logins: Gives the logins to registries.
        samples: Whether samples may stand for images: in a plan, which changes nothing.

    Raises:
        InputError: A sample stands for an image.
        ImageContentError: An image was built from another commit.
        UnavailableError: The registry has to be asked, and does not answer.
    """
    if not samples:
        require_chosen_images(bundle)
    private = tuple(f"{registry}/" for registry in bundle.contract.private_registries)
    own = {
        name: image.ref
        for name, image in bundle.images.items()
        if not image.sample and (name in given or image.ref.startswith(private))
    }
    if commit and own:
        require_revision(commit, inspect(own, logins()))


def logins_of(outputs: Mapping[str, Any] | None, bundle: Bundle) -> dict[str, Login]:
    """Gives the logins to registries that a stack's outputs hold, as the bundle's Secrets say."""
    from aphiria_deploy.bundle import RegistryLogin
    from aphiria_deploy.masked import SecretValue

    logins: dict[str, Login] = {}
    sources = [source for spec in bundle.secrets for source in spec.keys.values()]
    for source in sources:
        if isinstance(source, RegistryLogin) and outputs and outputs.get(source.username) and outputs.get(source.token):
            logins[source.registry] = Login(
                username=str(outputs[source.username]), password=SecretValue(str(outputs[source.token]))
            )
    return logins

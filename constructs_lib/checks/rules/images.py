"""Rules about images and where they are pulled from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from constructs_lib.checks.manifests import Manifests, Pod, mapping, sequence, string
from constructs_lib.checks.model import LOCAL, PREVIEW, PREVIEW_BASE, PRODUCTION, Severity
from constructs_lib.checks.registry import Found, rule

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OTHER_DIGEST = re.compile(r"(?!sha256:)[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_PULL_SECRET_TYPES = {"kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"}


@dataclass(frozen=True)
class Reference:
    """An image reference, taken apart.

    Attributes:
        registry: Its host; ``docker.io`` where it names none.
        tag: Its tag, or empty.
        digest: What follows the ``@``, or None where there is no ``@``.
    """

    registry: str
    tag: str
    digest: str | None

    @classmethod
    def of(cls, image: str) -> Reference:
        """Takes a reference apart. It need not be valid."""
        name, at, digest = image.partition("@")
        first, slash, rest = name.partition("/")
        is_host = slash and ("." in first or ":" in first or first == "localhost")
        path = rest if is_host else name
        tag = path.rpartition("/")[2].partition(":")[2]
        return cls(first if is_host else "docker.io", tag, digest if at else None)


@rule(
    "image-digest",
    summary="an image of a preview or of production is not pinned to a whole digest",
    why="A digest was cut to 12 characters in a label: the images could not be pulled. A tag can be pushed again: what "
    "was approved is not what runs.",
)
def image_digest(manifests: Manifests) -> Iterator[Found]:
    """Finds images without a digest where one is required, and broken digests anywhere."""
    pinned = manifests.context.environment in {PREVIEW, PRODUCTION}
    for pod in manifests.pods:
        for container in pod.containers:
            digest = Reference.of(container.image).digest
            if digest is None:
                if pinned and container.image:
                    yield Found(
                        pod.owner,
                        f"{container.path}.image",
                        f"found {container.image!r}, expected a reference that ends in @sha256: and 64 hex digits",
                        "give the image's digest, which the registry reports for the tag",
                    )
            elif not _DIGEST.fullmatch(digest) and (pinned or not _OTHER_DIGEST.fullmatch(digest)):
                digits = len(digest.partition(":")[2])
                yield Found(
                    pod.owner,
                    f"{container.path}.image",
                    f"found the digest {digest!r} with {digits} digits, expected sha256: and 64 hex digits",
                    "give the whole digest: it was cut short or mistyped on its way",
                )


@rule(
    "latest-in-production",
    summary="an image has the tag latest, or no tag, outside of the local environment",
    why="What `latest` means changes without a change of the manifests: a restart runs other code, a rollback does not "
    "roll back.",
)
def latest_in_production(manifests: Manifests) -> Iterator[Found]:
    """Finds images whose meaning changes; mutable tags are allowed to the local environment alone."""
    environment = manifests.context.environment
    if environment == LOCAL:
        return
    for pod in manifests.pods:
        for container in pod.containers:
            reference = Reference.of(container.image)
            if reference.digest is not None or not container.image:
                continue
            path = f"{container.path}.image"
            if reference.tag in {"", "latest"}:
                tag = "the tag latest" if reference.tag else "no tag, which means latest"
                yield Found(
                    pod.owner,
                    path,
                    f"{container.image!r} has {tag}; expected a digest or a fixed version",
                    "pin it: name@sha256:…",
                    None if manifests.closed else Severity.WARNING,
                )
            elif environment == PREVIEW_BASE:
                yield Found(
                    pod.owner,
                    path,
                    f"{container.image!r} has a tag that can be pushed again; mutable tags are for local alone",
                    "pin it: name@sha256:…",
                    Severity.WARNING,
                )


@rule(
    "pull-secret",
    summary="a pod runs an image of a private registry without a pull secret that exists",
    why="The registry answered 401: Deployments had no pull secret, and later the Jobs had none.",
)
def pull_secret(manifests: Manifests) -> Iterator[Found]:
    """Finds pods that cannot pull their images."""
    private = manifests.context.contract.private_registries
    for pod in manifests.pods:
        names = [string(mapping(ref).get("name")) for ref in sequence(pod.spec.get("imagePullSecrets"))]
        image = next((one.image for one in pod.containers if _is_private(one.image, private)), None)
        if image is None:
            continue
        path = f"{pod.spec_path}.imagePullSecrets"
        if not names and not _account_secrets(manifests, pod):
            yield Found(
                pod.owner,
                path,
                f"{image} is on a private registry, and the pod names no pull secret",
                "add imagePullSecrets with the registry's Secret",
            )
        for number, name in enumerate(names):
            yield from _usable(manifests, pod, name, f"{path}[{number}].name")


def _is_private(image: str, registries: tuple[str, ...]) -> bool:
    return bool(image) and any(image.startswith(f"{registry.rstrip('/')}/") for registry in registries)


def _account_secrets(manifests: Manifests, pod: Pod) -> bool:
    account = manifests.find("ServiceAccount", pod.namespace, string(pod.spec.get("serviceAccountName")) or "default")
    return account is not None and bool(sequence(account.data.get("imagePullSecrets")))


def _usable(manifests: Manifests, pod: Pod, name: str, path: str) -> Iterator[Found]:
    for secret in manifests.context.secrets:
        if (secret.namespace, secret.name) == (pod.namespace, name):
            kind = secret.type
            break
    else:
        item = manifests.find("Secret", pod.namespace, name)
        if item is None:
            if manifests.closed:
                yield Found(
                    pod.owner,
                    path,
                    f"Secret {name} is not in namespace {pod.namespace}: not in the set, the base, or what the engine "
                    "makes",
                    "correct the name, or have the Secret made in this namespace",
                )
            return
        kind = string(item.data.get("type"))
        if not kind and item in manifests.base:
            return  # it is declared by its name alone
    if kind not in _PULL_SECRET_TYPES:
        yield Found(
            pod.owner,
            path,
            f"Secret {name} has the type {kind or 'Opaque'}, expected kubernetes.io/dockerconfigjson",
            "name a Secret of that type",
        )

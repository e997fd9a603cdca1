"""Settles the inputs of a deploy before anything else happens: images, the stack's outputs, environment variables.

What is pure is apart from what asks a registry, and every function tells all that is wrong at once. No message holds
a value of an output or of a variable, whether it is secret or not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from aphiria_deploy.bundle import (
    Bundle,
    Constant,
    EnvironmentKind,
    Output,
    RegistryLogin,
    SecretSource,
    SecretSpec,
    Variable,
)
from aphiria_deploy.errors import Errors, InputError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry import ImageContent, Reference
from aphiria_deploy.secrets import MadeSecret, SecretInputs

Resolve = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Gives for references, by the images' names, the same ones pinned to their digests (``registry.resolve``)."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

# What Pulumi writes in place of a secret when it is not told to show it.
_HIDDEN: Final = "[secret]"


class StackOutputs(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The outputs of a stack with a cluster. One that is None was neither given nor needed.

    Attributes:
        cluster_id: The cluster's ID at the provider.
        cluster_name: Its name there.
        cluster_endpoint: The URL of its API.
        kubeconfig: Access to it, as YAML.
        gateway_name: The Gateway of the environments.
        gateway_namespace: Its namespace.
        postgresql_host: The database server's name inside the cluster.
        postgresql_port: Its port.
        postgresql_admin_user: Its administrator.
        postgresql_admin_password: The administrator's password.
        ghcr_username: Who pulls the images.
        ghcr_token: The token to pull them with.
        digitalocean_dns_token: The token that the DNS-01 solver uses.
        backup_access_key_id: The key of the backups' bucket.
        backup_secret_access_key: Its secret.
    """

    cluster_id: str | None = None
    cluster_name: str | None = None
    cluster_endpoint: str | None = None
    kubeconfig: SecretValue | None = None
    gateway_name: str | None = None
    gateway_namespace: str | None = None
    postgresql_host: str | None = None
    postgresql_port: Port | None = None
    postgresql_admin_user: str | None = None
    postgresql_admin_password: SecretValue | None = None
    ghcr_username: str | None = None
    ghcr_token: SecretValue | None = None
    digitalocean_dns_token: SecretValue | None = None
    backup_access_key_id: SecretValue | None = None
    backup_secret_access_key: SecretValue | None = None


OUTPUTS: Final = {each.encode_name: each for each in msgspec.structs.fields(StackOutputs)}
"""The fields of the schema, by the outputs' names."""

# In these, white space may belong to the value; in any other it came from a file or a copy.
_FREE_TEXT: Final = frozenset({"kubeconfig", "postgresqlAdminPassword"})


@dataclass(frozen=True)
class Settled:
    """What a deploy needs to know from outside.

    Attributes:
        outputs: The stack's outputs.
        secrets: What Secrets are made of.
    """

    outputs: StackOutputs = field(default_factory=StackOutputs)
    secrets: SecretInputs = field(default_factory=SecretInputs)


@dataclass(frozen=True)
class ImagesPlan:
    """Which images are settled, and which ones a registry has to be asked for.

    Attributes:
        settled: References that stay as they are, by the images' names.
        tags: References whose digest is not known yet.
    """

    settled: Mapping[str, str]
    tags: Mapping[str, str]


def plan_images(given: Mapping[str, str], kind: EnvironmentKind, *, names: Collection[str] | None = None) -> ImagesPlan:
    """Decides for which images a registry has to be asked.

    Args:
        given: References, by the images' names.
        kind: What the environment is: a local one runs what was built on the machine, whatever its tag.
        names: The names that the site knows, if they are known.

    Raises:
        InputError: A name or a reference is not one.
        CombinedError: Several are not.
    """
    errors = Errors()
    settled, tags = {}, {}
    for name, ref in given.items():
        with errors.collected():
            if names is not None and name not in names:
                raise InputError(f"images: {name}: found an unknown name, expected one of {', '.join(sorted(names))}")
            reference = Reference.parse(ref, f"images: {name}")
            if reference.digest or kind is EnvironmentKind.LOCAL:
                settled[name] = ref
            else:
                tags[name] = ref
    errors.raise_all()
    return ImagesPlan(settled, tags)


def settle_images(
    given: Mapping[str, str], kind: EnvironmentKind, resolve: Resolve, *, names: Collection[str] | None = None
) -> dict[str, str]:
    """Gives every image pinned to a digest; a registry is only asked where a tag stands.

    Args:
        given: References, by the images' names.
        kind: What the environment is.
        resolve: Asks the registries.
        names: The names that the site knows, if they are known.

    Raises:
        InputError: A name or a reference is not one, or leads to nothing.
        UnavailableError: A registry does not answer, or refuses.
        CombinedError: Several of these.
    """
    plan = plan_images(given, kind, names=names)
    pinned = {**plan.settled, **(resolve(plan.tags) if plan.tags else {})}
    return {name: pinned[name] for name in given}


def require_chosen_images(bundle: Bundle) -> None:
    """Checks that somebody chose each image of a bundle that is to be deployed.

    Raises:
        InputError: Samples stand for some.
    """
    if bundle.sample_images:
        options = ", ".join(f"--{name}-image REF" for name in bundle.sample_images)
        raise InputError(
            f"{bundle.environment.name}: images: found samples for {', '.join(bundle.sample_images)}, expected the "
            f"images to run: give {options}"
        )


def require_revision(commit: str, contents: Mapping[str, ImageContent]) -> None:
    """Checks that images were built from a commit, by the revision that their configurations record.

    Args:
        commit: The commit that was approved, with all 40 digits.
        contents: The site's own images, by name.

    Raises:
        ImageContentError: One was built from another commit, or does not say from which.
        CombinedError: Several were.
    """
    errors = Errors()
    for name, content in contents.items():
        with errors.collected():
            content.require_revision(commit, f"images: {name}")
    errors.raise_all()


def needed_outputs(specs: Iterable[SecretSpec]) -> dict[str, list[str]]:
    """Gives the outputs that Secrets are made of, each with what it is needed for."""
    needed: dict[str, list[str]] = {}
    for spec in specs:
        for key, source in spec.keys.items():
            names: list[str] = []
            if isinstance(source, Output):
                names = [source.name]
            elif isinstance(source, RegistryLogin):
                names = [source.username, source.token]
            for name in names:
                needed.setdefault(name, []).append(f"Secret {spec.namespace}/{spec.name}, key {key}")
    return needed


def needed_variables(specs: Iterable[SecretSpec]) -> dict[str, list[str]]:
    """Gives the environment variables that Secrets are made of, each with what it is needed for."""
    needed: dict[str, list[str]] = {}
    for spec in specs:
        for key, source in spec.keys.items():
            if isinstance(source, Variable):
                needed.setdefault(source.name, []).append(f"Secret {spec.namespace}/{spec.name}, key {key}")
    return needed


def decode_outputs(document: bytes, where: str) -> dict[str, Any]:
    """Reads the JSON of ``pulumi stack output --json --show-secrets``.

    Args:
        document: The JSON.
        where: What to call it in an error: the file's path.

    Raises:
        InputError: It is not a JSON object. What it holds instead is not told.
    """
    expected = "expected a JSON object, as `pulumi stack output --json --show-secrets` writes it"
    try:
        found = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Neither the cause nor its message: they may hold a part of the document.
        raise InputError(f"{where}: found no JSON; {expected}") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: found {_kind(found)}; {expected}")
    return found


def read_outputs(path: Path) -> dict[str, Any]:
    """Reads the file that ``--outputs`` names.

    Raises:
        InputError: It cannot be read, or is not a JSON object.
    """
    try:
        document = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; expected a file with the JSON of `pulumi stack output --json --show-secrets`"
        ) from error
    return decode_outputs(document, str(path))


def settle_inputs(
    specs: Sequence[SecretSpec],
    outputs: Mapping[str, Any] | None,
    environ: Mapping[str, str],
    *,
    where: str = "stack outputs",
    required: Collection[str] = (),
    also: Collection[str] = (),
) -> Settled:
    """Checks everything that comes from outside, and gives what is needed of it.

    Args:
        specs: The Secrets of the bundle: what they are made of is needed.
        outputs: The stack's outputs as JSON data; None where there is no stack.
        environ: The environment variables.
        where: What to call the outputs in an error: the file's path, or the stack.
        required: Outputs that the command itself needs, such as ``kubeconfig``.
        also: Outputs of the site's own beside those of the schema that may be there.

    Raises:
        InputError: An output or a variable is missing, unknown, empty or of another type.
        CombinedError: Several are.
    """
    errors = Errors()
    needed = {**{name: [] for name in required}, **needed_outputs(specs)}
    values = _outputs(outputs, needed, also, where, errors)
    variables = _variables(needed_variables(specs), environ, errors)
    errors.raise_all()
    stack = StackOutputs(**{OUTPUTS[name].name: value for name, value in values.items() if name in OUTPUTS})
    secret = {name: _as_secret(value) for name, value in values.items() if name in needed}
    return Settled(stack, SecretInputs(secret, variables))


def hidden_values(specs: Sequence[SecretSpec], made: Iterable[MadeSecret]) -> list[str]:
    """Gives what no log and no message may show of Secrets: all their values but those that are no secrets.

    Args:
        specs: The specifications, which tell a name of a user from a password.
        made: The Secrets.
    """
    sources = {(spec.namespace, spec.name): spec.keys for spec in specs}
    hidden: list[str] = []
    for secret in made:
        for key, text in secret.manifest["data"].items():
            source = sources.get((secret.ref.namespace, secret.ref.name), {}).get(key)
            value = base64.b64decode(text).decode(errors="replace")
            if isinstance(source, RegistryLogin):
                hidden += [login["password"] for login in msgspec.json.decode(value)["auths"].values()]
            elif not _is_plain(source):
                hidden.append(value)
    return hidden


def _is_plain(source: SecretSource | None) -> bool:
    if isinstance(source, Constant):
        return True
    schema = OUTPUTS.get(source.name) if isinstance(source, Output) else None
    return schema is not None and schema.type != SecretValue | None


def _outputs(
    found: Mapping[str, Any] | None,
    needed: Mapping[str, Sequence[str]],
    also: Collection[str],
    where: str,
    errors: Errors,
) -> dict[str, Any]:
    known = [*OUTPUTS, *sorted({*needed, *also} - OUTPUTS.keys())]
    values: dict[str, Any] = {}
    for name in known:
        with errors.collected():
            if name in (found or {}):
                values[name] = _typed(name, (found or {})[name], where)
            elif name in needed:
                raise InputError(_missing(name, needed[name], where, there_is_a_stack=found is not None))
    for name in sorted((found or {}).keys() - set(known)):
        errors.add(InputError(f"{where}: {name}: found an unknown output; {_hint(name, known)}"))
    return values


def _hint(name: str, known: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415 - it takes longer to import than all the rest here

    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"


def _missing(name: str, users: Sequence[str], where: str, *, there_is_a_stack: bool) -> str:
    users_text = f" for {'; '.join(users)}" if users else ""
    repair = (
        "set it in the stack's configuration" if there_is_a_stack else "give the stack's outputs with --outputs FILE"
    )
    return f"{where}: {name}: found none, expected a value{users_text}: {repair}"


def _typed(name: str, value: Any, where: str) -> Any:
    schema = OUTPUTS.get(name)
    if schema is not None and schema.type == Port | None:
        return _port(name, value, where)
    if not isinstance(value, str):
        raise InputError(f"{where}: {name}: found {_kind(value)}, expected a string")
    if not value.strip():
        raise InputError(f"{where}: {name}: found an empty string, expected a value")
    if value == _HIDDEN:
        raise InputError(
            f"{where}: {name}: found {_HIDDEN}, expected the value: write the file with "
            "`pulumi stack output --json --show-secrets`"
        )
    if schema is not None and name not in _FREE_TEXT and value.split() != [value]:
        raise InputError(f"{where}: {name}: found white space in it, expected none: was a line break copied along?")
    secret = schema is None or schema.type == SecretValue | None
    try:
        return SecretValue(value) if secret else value
    except ValueError as error:
        raise InputError(f"{where}: {name}: {error}") from None


def _port(name: str, value: Any, where: str) -> int:
    expected = "expected a port, from 1 to 65535"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InputError(f"{where}: {name}: found {_kind(value)}, {expected}")
    try:
        # Pulumi's configuration gives texts, its programs numbers.
        return msgspec.convert(value, Port, strict=False)
    except msgspec.ValidationError:
        raise InputError(f"{where}: {name}: found {_kind(value)} that is none, {expected}") from None


def _variables(
    needed: Mapping[str, Sequence[str]], environ: Mapping[str, str], errors: Errors
) -> dict[str, SecretValue]:
    values = {}
    for name, users in needed.items():
        value = environ.get(name, "")
        with errors.collected():
            if not value.strip():
                found = "an empty one" if name in environ else "none"
                raise InputError(
                    f"environment variable {name}: found {found}, expected a value for {'; '.join(users)}: "
                    f"export {name} before the command"
                )
            try:
                values[name] = SecretValue(value)
            except ValueError as error:
                raise InputError(f"environment variable {name}: {error}") from None
    return values


def _as_secret(value: str | int | SecretValue) -> SecretValue:
    return value if isinstance(value, SecretValue) else SecretValue(str(value))


def _kind(value: object) -> str:
    """Names the type of JSON data, never its content."""
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")

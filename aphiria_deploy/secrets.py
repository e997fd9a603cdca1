"""The Secrets that the engine makes: from specifications, settled values, and what is in the cluster already.

Everything here is pure but for the randomness that it is given. A Secret's version is a counter that is kept with it
and says nothing about its values; pods restart, and Jobs that ensure something run again, by these counters.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aphiria_deploy import scram
from aphiria_deploy.bundle import (
    Constant,
    Generated,
    Manifest,
    Output,
    RegistryLogin,
    ScramVerifier,
    SecretSource,
    SecretSpec,
    Variable,
)
from aphiria_deploy.errors import AphiriaDeployError, Errors, InputError
from aphiria_deploy.masked import SecretValue

FIELD_MANAGER = "aphiria-deploy"
VERSION = "deploy.aphiria.com/version"
"""The annotation of a Secret with its counter."""
CHECKSUM = "checksum/secret"
"""The annotation of a pod template with the counters of the Secrets that the pod uses."""
JOB_CLASS = "deploy.aphiria.com/job-class"

_ROLLED_OUT = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


class SecretConflictError(AphiriaDeployError):
    """A Secret in the cluster cannot become what it has to be: its type differs, or it is immutable."""


class SecretRef(NamedTuple):
    """Which Secret."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


@dataclass(frozen=True)
class SecretInputs:
    """The settled values that Secrets are made of, by name."""

    outputs: Mapping[str, SecretValue] = field(default_factory=dict)
    variables: Mapping[str, SecretValue] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeSecret:
    """A Secret to apply.

    Attributes:
        ref: Which one.
        version: Its counter.
        changed: The keys whose value is another than the cluster's, sorted; also those that went.
        manifest: The object, with ``data``. It holds the values, so it is not shown.
    """

    ref: SecretRef
    version: int
    changed: tuple[str, ...]
    manifest: Manifest = field(repr=False)


def make_secrets(
    specs: Sequence[SecretSpec],
    inputs: SecretInputs,
    existing: Iterable[Mapping[str, Any]],
    *,
    recorded: Mapping[SecretRef, int] | None = None,
    token: Callable[[int], str] = secrets.token_urlsafe,
    salt: Callable[[int], bytes] = secrets.token_bytes,
) -> list[MadeSecret]:
    """Makes Secrets.

    What is generated stays what it is in the cluster; so does a verifier as long as it is one of the password. To
    generate a value anew, delete its key. A verifier that is not the password's any more raises the password's
    version too: somebody changed a password that is only known to the cluster.

    Args:
        specs: What to make.
        inputs: The values that come from outside.
        existing: The Secrets in the cluster, with their data; those that are not there are not in it.
        recorded: The versions that the last release recorded: a Secret that was deleted and made again counts on
            from there.
        token: Gives a random text made of so many bytes.
        salt: Gives so many random bytes.

    Raises:
        SecretConflictError: A Secret in the cluster cannot become what it has to be.
        InputError: A value is missing, or a password is not one.
        CombinedError: Several of these.
    """
    live = {_ref(secret["metadata"]): _Live(secret) for secret in existing}
    values: dict[SecretRef, dict[str, bytes]] = {}
    errors = Errors()
    for spec, key, source in _keys(specs):
        ref = SecretRef(spec.namespace, spec.name)
        with errors.collected():
            if not isinstance(source, ScramVerifier):
                found = live[ref].data.get(key) if ref in live else None
                values.setdefault(ref, {})[key] = _value(source, inputs, found, f"{ref}: {key}", token)
    made_here = {(spec.namespace, spec.name, key): source for spec, key, source in _keys(specs)}
    restarted: set[SecretRef] = set()
    for spec, key, source in _keys(specs):
        ref = SecretRef(spec.namespace, spec.name)
        with errors.collected():
            if isinstance(source, ScramVerifier):
                kept = live[ref].data.get(key, b"").decode(errors="replace") if ref in live else ""
                password = _password(source, made_here, values, live, f"{ref}: {key}")
                if password is None:
                    continue
                fresh = kept if scram.verifies(kept, password) else scram.verifier(password, salt=salt)
                values.setdefault(ref, {})[key] = fresh.encode()
                if fresh != kept and scram.is_verifier(kept):
                    restarted.add(SecretRef(source.namespace, source.secret))
    errors.raise_all()
    made = []
    for spec in specs:
        ref = SecretRef(spec.namespace, spec.name)
        with errors.collected():
            made.append(_made(spec, values.get(ref, {}), live.get(ref), (recorded or {}).get(ref, 0), ref in restarted))
    errors.raise_all()
    return made


def recorded_secrets(specs: Sequence[SecretSpec], versions: Mapping[str, int]) -> list[MadeSecret]:
    """Gives Secrets as far as a release records them: that they are there, of which type and version, and no value.

    Args:
        specs: What was made.
        versions: The versions, by ``namespace/name``.
    """
    made = []
    for spec in specs:
        ref = SecretRef(spec.namespace, spec.name)
        version = versions.get(f"{ref.namespace}/{ref.name}", 0)
        metadata: dict[str, Any] = {"namespace": ref.namespace, "name": ref.name}
        metadata |= {"annotations": {VERSION: str(version)}, "labels": dict(spec.labels)}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": spec.type}
        made.append(MadeSecret(ref, version, (), manifest))
    return made


def used_secrets(pod: Mapping[str, Any]) -> set[str]:
    """Gives the names of the Secrets that a pod's containers read, by the pod's spec.

    Pull secrets are not among them: the node reads them anew for each pull.
    """
    return set(_used(pod))


def with_secret_versions(manifest: Manifest, versions: Mapping[SecretRef, int]) -> Manifest:
    """Gives a manifest whose pod template says the versions of the Secrets that its pods use.

    Those of workloads that roll out, and of Jobs of class ``ensure``, which run again when one changed. Every other
    object, and one that uses no Secret of the engine's, is given back as it is.

    Args:
        manifest: The object.
        versions: The counters of the Secrets that the engine makes.
    """
    if manifest.get("kind") not in _ROLLED_OUT and not _is_ensuring(manifest):
        return manifest
    namespace = manifest["metadata"].get("namespace", "")
    template = manifest["spec"]["template"]
    used = {
        name: versions[SecretRef(namespace, name)]
        for name in sorted(used_secrets(template["spec"]))
        if SecretRef(namespace, name) in versions
    }
    if not used:
        return manifest
    annotated = copy.deepcopy(manifest)
    annotations = annotated["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
    annotations[CHECKSUM] = ",".join(f"{name}:{version}" for name, version in used.items())
    return annotated


class _Live:
    """A Secret in the cluster."""

    def __init__(self, secret: Mapping[str, Any]) -> None:
        metadata = secret["metadata"]
        self.type: str = secret.get("type") or "Opaque"
        self.immutable = bool(secret.get("immutable"))
        self.data = {key: _decoded(_ref(metadata), key, text) for key, text in (secret.get("data") or {}).items()}
        written = str((metadata.get("annotations") or {}).get(VERSION, ""))
        self.version = int(written) if written.isascii() and written.isdigit() and len(written) < 16 else 0
        # The keys that an apply without them removes.
        self.owned = {
            name.removeprefix("f:")
            for entry in metadata.get("managedFields") or ()
            if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
            for name in (entry.get("fieldsV1") or {}).get("f:data") or ()
            if name.startswith("f:")
        }


def _made(spec: SecretSpec, values: Mapping[str, bytes], live: _Live | None, floor: int, restarted: bool) -> MadeSecret:
    ref = SecretRef(spec.namespace, spec.name)
    before = live.data if live else {}
    gone = (live.owned & before.keys()) - values.keys() if live else set()
    changed = sorted(gone | {key for key, value in values.items() if before.get(key) != value})
    if live and live.type != spec.type:
        raise SecretConflictError(
            f"{ref}: type: found {live.type}, expected {spec.type}; the type of a Secret cannot be changed: delete it "
            f"(kubectl delete secret --namespace {ref.namespace} {ref.name}) and deploy again"
        )
    if live and live.immutable and changed:
        raise SecretConflictError(
            f"{ref}: immutable: found true, expected a Secret whose {', '.join(changed)} can be changed: delete it "
            f"(kubectl delete secret --namespace {ref.namespace} {ref.name}) and deploy again"
        )
    version = live.version if live else 0
    if changed or restarted or version < max(floor, 1):
        version = max(version, floor) + 1
    metadata: dict[str, Any] = {"namespace": ref.namespace, "name": ref.name, "annotations": {VERSION: str(version)}}
    if spec.labels:
        metadata["labels"] = dict(spec.labels)
    data = {key: base64.b64encode(value).decode() for key, value in sorted(values.items())}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": spec.type, "data": data}
    return MadeSecret(ref, version, tuple(changed), manifest)


def _value(
    source: Constant | Output | Variable | Generated | RegistryLogin,
    inputs: SecretInputs,
    found: bytes | None,
    where: str,
    token: Callable[[int], str],
) -> bytes:
    match source:
        case Constant(value=value):
            return value.encode()
        case Output(name=name):
            return _given(inputs.outputs, name, where, "output").encode()
        case Variable(name=name):
            return _given(inputs.variables, name, where, "environment variable").encode()
        case Generated(bytes=count):
            return found or token(count).encode()
        case RegistryLogin(registry=registry, username=username, token=password):
            return _docker_config(
                registry,
                _given(inputs.outputs, username, where, "output"),
                _given(inputs.outputs, password, where, "output"),
            )


def _given(values: Mapping[str, SecretValue], name: str, where: str, what: str) -> str:
    if name not in values:
        raise InputError(f"{where}: found no {what} {name!r}, expected a value for it")
    return values[name].reveal()


def _docker_config(registry: str, username: str, password: str) -> bytes:
    login = {
        "username": username,
        "password": password,
        "auth": base64.b64encode(f"{username}:{password}".encode()).decode(),
    }
    return json.dumps({"auths": {registry: login}}, sort_keys=True, separators=(",", ":")).encode()


def _password(
    source: ScramVerifier,
    made_here: Mapping[tuple[str, str, str], SecretSource],
    values: Mapping[SecretRef, Mapping[str, bytes]],
    live: Mapping[SecretRef, _Live],
    where: str,
) -> str | None:
    """Gives the password of a verifier; None where it could not be made, which was told already."""
    ref = SecretRef(source.namespace, source.secret)
    found = values.get(ref, {}).get(source.key)
    maker = made_here.get((source.namespace, source.secret, source.key))
    if found is None and maker is not None and not isinstance(maker, ScramVerifier):
        return None
    if maker is None and ref in live:
        found = live[ref].data.get(source.key)
    if not found or isinstance(maker, ScramVerifier):
        raise InputError(
            f"{where}: a verifier of {ref}, key {source.key}: found no password there, expected a Secret of the bundle "
            "or of the cluster that has one"
        )
    try:
        password = found.decode()
    except UnicodeDecodeError:
        password = ""
    if not password or "\0" in password:
        # Without a cause: the decoder's error holds the value.
        raise InputError(
            f"{where}: a verifier of {ref}, key {source.key}: found bytes that are no password, expected UTF-8 "
            "without NUL; delete the key to have one generated"
        ) from None
    return password


def _is_ensuring(manifest: Manifest) -> bool:
    annotations = manifest.get("metadata", {}).get("annotations") or {}
    return manifest.get("kind") == "Job" and annotations.get(JOB_CLASS) == "ensure"


def _used(pod: Mapping[str, Any]) -> Iterator[str]:
    volumes = pod.get("volumes") or ()
    yield from (volume["secret"]["secretName"] for volume in volumes if volume.get("secret"))
    for volume in volumes:
        sources = (volume.get("projected") or {}).get("sources") or ()
        yield from (source["secret"]["name"] for source in sources if source.get("secret"))
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        variables = [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
        yield from (source["secretKeyRef"]["name"] for source in variables if source.get("secretKeyRef"))
        sources = container.get("envFrom") or ()
        yield from (source["secretRef"]["name"] for source in sources if source.get("secretRef"))


def _keys(specs: Sequence[SecretSpec]) -> Iterator[tuple[SecretSpec, str, SecretSource]]:
    for spec in specs:
        for key, source in spec.keys.items():
            yield spec, key, source


def _ref(metadata: Mapping[str, Any]) -> SecretRef:
    return SecretRef(metadata["namespace"], metadata["name"])


def _decoded(ref: SecretRef, key: str, text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise SecretConflictError(f"{ref}: data.{key}: found no base64, expected what an API server gives") from None

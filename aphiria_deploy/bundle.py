"""The bundle: what passes from a site to the engine, and the only thing.

A bundle is one JSON document. It holds everything that a deploy of one environment needs to know and nothing that
is secret: it is made without a cluster, without a network and without credentials. Its content hash is the
identity that is approved, cached and recorded.

The JSON schema is published in ``docs/bundle.schema.json``.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from aphiria_deploy.errors import InputError

Manifest = dict[str, Any]
"""One Kubernetes object as plain JSON data."""

FORMAT = "aphiria-deploy/bundle/v1"
"""The version of the format. A newer tool reads what an older one wrote; an older one refuses a newer one's."""


_LATER = frozenset({"backup"})
"""Fields that are younger than the format's first version."""

# Beside what is no JSON: text that is no UTF-8, and brackets without end.
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


class BundleError(InputError):
    """A document is not a bundle, is of a format that this version does not know, or was changed after it was made."""


class EnvironmentKind(StrEnum):
    """What an environment is: a type, never a part of its name."""

    LOCAL = "local"
    PREVIEW_BASE = "preview-base"
    PREVIEW = "preview"
    PRODUCTION = "production"


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A value of the bundle: immutable, with camelCase keys, refusing keys that it does not know."""


class Environment(_Data, frozen=True, omit_defaults=True):
    """Which environment the bundle is for.

    Attributes:
        name: ``local``, ``preview-base``, ``production`` or ``pr-N``.
        kind: What it is.
        namespace: The namespace of its workloads.
        number: The number of the pull request; previews have one, others none.
        stack: The Pulumi stack whose cluster it lives on; none where the cluster is the user's own.
    """

    name: str
    kind: EnvironmentKind
    namespace: str
    number: int | None = None
    stack: str | None = None


class ManifestFile(_Data, frozen=True):
    """The manifests of one numbered file, in the order in which they are applied.

    Attributes:
        name: The file's name without ``.k8s.yaml``: ``10-base``, ``20-jobs``, ``30-workloads``.
        manifests: The objects.
    """

    name: str
    manifests: list[Manifest]


class Output(_Data, frozen=True, tag="output", tag_field="from"):
    """A value that the stack gives (``pulumi stack output``), by its name."""

    name: str


class Variable(_Data, frozen=True, tag="variable", tag_field="from"):
    """A value of the environment in which the command runs, by the variable's name."""

    name: str


class Generated(_Data, frozen=True, tag="generated", tag_field="from"):
    """A value that is generated once, kept in the cluster, and never known anywhere else.

    Attributes:
        bytes: How many random bytes it is made of; it is written in URL-safe base64.
    """

    bytes: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 32


class ScramVerifier(_Data, frozen=True, tag="scram-sha-256", tag_field="from"):
    """The SCRAM-SHA-256 verifier of another Secret's value (RFC 5803), in the form that PostgreSQL stores.

    Attributes:
        namespace: Of the Secret that holds the password.
        secret: Its name.
        key: The key of the password in it.
    """

    namespace: str
    secret: str
    key: str


class RegistryLogin(_Data, frozen=True, tag="registry-login", tag_field="from"):
    """A ``.dockerconfigjson`` made of two outputs.

    Attributes:
        registry: The registry's host, for example ``ghcr.io``.
        username: The output with the user's name.
        token: The output with the token.
    """

    registry: str
    username: str
    token: str


class Constant(_Data, frozen=True, tag="constant", tag_field="from"):
    """A value that is not secret and belongs beside one that is: the name of the user whose password it is."""

    value: str


SecretSource = Constant | Output | Variable | Generated | ScramVerifier | RegistryLogin
"""Where the value of one key of a Secret comes from. Never the value."""


class SecretSpec(_Data, frozen=True, omit_defaults=True):
    """A Secret that the engine makes: the synthesized files only refer to it.

    Attributes:
        namespace: Where it is.
        name: Its name.
        type: The Kubernetes type.
        keys: For each key, where its value comes from.
        labels: The labels that it gets.
    """

    namespace: str
    name: str
    keys: dict[str, SecretSource]
    type: str = "Opaque"
    labels: dict[str, str] = {}


class Image(_Data, frozen=True, omit_defaults=True):
    """An image that the environment runs.

    Attributes:
        ref: The reference in the manifests.
        sample: True where nobody said which image to run and a sample stands in its place, so that the manifests can
            be looked at: such a bundle cannot be deployed.
    """

    ref: str
    sample: bool = False


class HealthCheck(_Data, frozen=True, tag="health", tag_field="check"):
    """After a deploy, a GET of the URL answers with the status."""

    url: str
    status: int = 200


class CorsCheck(_Data, frozen=True, tag="cors", tag_field="check"):
    """After a deploy, a CORS preflight request to the URL is answered with exactly the origin."""

    url: str
    origin: str


class RedirectCheck(_Data, frozen=True, tag="redirect", tag_field="check"):
    """After a deploy, the URL answers with a redirect to the location."""

    url: str
    location: str
    status: int = 301


Check = HealthCheck | CorsCheck | RedirectCheck
"""What is asked of the running site after a deploy."""


class Gone(_Data, frozen=True):
    """Something outside the namespace that must be absent after a destroy.

    Attributes:
        kind: ``database`` or ``role``: of the PostgreSQL server that the destroying Job ran against.
        name: Its name there.
    """

    kind: str
    name: str


class Destruction(_Data, frozen=True):
    """How a preview is removed.

    Attributes:
        jobs: The Jobs that run, one after the other, before the namespace goes.
        absent: What the last of them must have read back as absent.
    """

    jobs: list[Manifest]
    absent: list[Gone]


class Rehearsal(_Data, frozen=True):
    """How a restore is rehearsed, without touching the database.

    Attributes:
        job: Restores a backup into a new database, verifies it and drops that one. Its log ends with a JSON object:
            ``rehearsed``, the backup's name; ``tables`` and ``rows``, how many were compared; ``bytes``, how large the
            database was.
        variable: The environment variable of the Job whose value is set to the backup's name.
        database: The database whose backups they are: their names end in it.
    """

    job: Manifest
    variable: str
    database: str


# What has no rehearsal keeps its hash: the field is younger than the format's first version.
class BackupJobs(_Data, frozen=True, omit_defaults=True):
    """The Jobs that back the database up and bring it back: run when somebody asks for it, and by no deploy.

    Attributes:
        take: Takes a backup.
        list: Writes what there is: in the log of the container ``files`` the objects in the bucket, in that of
            ``kept`` the databases that restores kept, as JSON objects, one a line.
        restore: Restores a backup beside the database, verifies it and swaps the two. Its log ends with a JSON object:
            ``restored``, and as ``kept`` the name that what was there before has now, or null.
        restore_variable: The environment variable of ``restore`` whose value is set to the backup's name.
        discard: Drops a database that a restore kept.
        discard_variable: The environment variable of ``discard`` whose value is set to the database's name.
        rehearsal: How a restore is rehearsed; bundles of older versions have none.
    """

    take: Manifest
    list: Manifest
    restore: Manifest
    restore_variable: str
    discard: Manifest
    discard_variable: str
    rehearsal: Rehearsal | None = None


class EnvironmentVariables(_Data, frozen=True):
    """A ConfigMap's promise to the site's code: keys that must be there.

    Attributes:
        config_map: The ConfigMap's name, in the environment's namespace.
        required: The keys that the site declares as required.
    """

    config_map: str
    required: list[str]


class CookieDomain(_Data, frozen=True):
    """A cookie domain that the site is told to use, and the hosts that set cookies for it."""

    domain: str
    hosts: list[str]


class ApiUrl(_Data, frozen=True):
    """Where the front end is told that the API is, and the route that answers there.

    Attributes:
        config_map: The ConfigMap that tells it.
        key: The key in it, whose value contains the URL.
        url: The URL.
        route: The HTTPRoute, in the environment's namespace, that must have the URL's host.
    """

    config_map: str
    key: str
    url: str
    route: str


class Contract(_Data, frozen=True, omit_defaults=True):
    """What the site's code relies on and the manifests must keep: preflight compares the two.

    Attributes:
        environment_variables: The keys that its ConfigMaps must have.
        api_url: What the front end is told of the API.
        cookie_domains: The cookie domains, with the hosts that set them.
        production_cookie_domain: A preview's cookie domain below it is a warning: a preview runs unreviewed code.
        private_registries: Registries whose images need a pull secret.
        previews: How many previews share what the base brings; 1 for what is no preview.
        cluster_cidrs: The cluster's own address ranges, which a preview may not reach.
    """

    environment_variables: list[EnvironmentVariables] = []
    api_url: ApiUrl | None = None
    cookie_domains: list[CookieDomain] = []
    production_cookie_domain: str | None = None
    private_registries: list[str] = []
    previews: int = 1
    cluster_cidrs: list[str] = []


class Bundle(_Data, frozen=True, omit_defaults=True, kw_only=True, tag=FORMAT, tag_field="format"):
    """Everything that a deploy of one environment needs, and nothing secret.

    Attributes:
        site: The site's name, for example ``aphiria.com``.
        environment: Which environment.
        files: The manifests, by file, in the order in which they are applied.
        images: The images that run, by the site's names for them.
        secrets: The Secrets that the engine makes.
        base: What exists beside the manifests, as manifests that hold only what references need (a Gateway with its
            listeners, a Service with its ports, a Secret with its keys but no values).
        urls: The site's URLs by name (``web``, ``api``).
        checks: What is asked of the running site.
        outputs: What a deploy reports and records (``webUrl``, ``databaseName``, …).
        contract: What the site's code relies on.
        destruction: How a preview is removed; other environments have none and are never destroyed.
        backup: How its database is backed up and brought back, where it is.
        hash: ``sha256:`` and 64 hex digits over the canonical JSON of all of the above.
    """

    site: str
    environment: Environment
    files: list[ManifestFile]
    images: dict[str, Image]
    secrets: list[SecretSpec]
    base: list[Manifest]
    urls: dict[str, str]
    checks: list[Check]
    outputs: dict[str, str]
    contract: Contract
    destruction: Destruction | None = None
    backup: BackupJobs | None = None
    hash: str = ""

    def __post_init__(self) -> None:
        """Seals the bundle: a new one gets its hash, one that was read must have the right one."""
        digest = content_hash(self)
        if not self.hash:
            msgspec.structs.force_setattr(self, "hash", digest)
        elif self.hash != digest:
            raise ValueError(
                f"the content hash is {digest}, but hash says {self.hash}: it was changed after it was made"
            )

    @property
    def manifests(self) -> list[Manifest]:
        """All manifests, in the order in which they are applied."""
        return [manifest for file in self.files for manifest in file.manifests]

    @property
    def sample_images(self) -> list[str]:
        """The names of the images that nobody chose: with one of them the bundle cannot be deployed."""
        return sorted(name for name, image in self.images.items() if image.sample)


class Site(Protocol):
    """What the entry point of a site (``[tool.aphiria-deploy] site = "package:attribute"``) must be."""

    @property
    def name(self) -> str:
        """The site's name."""

    @property
    def environments(self) -> Sequence[str]:
        """The environments that are synthesized when none is named; one sample preview among them."""

    def bundle(self, environment: str, images: Mapping[str, str]) -> Bundle:
        """Makes an environment's bundle.

        Args:
            environment: ``local``, ``preview-base``, ``production`` or ``pr-N``.
            images: References for the site's images, by its names for them (``web``, ``api``).

        Raises:
            ValueError: The environment, a name or a reference is not one. The message says which, and what was
                expected.
        """


def content_hash(bundle: Bundle) -> str:
    """Gives ``sha256:`` and the hex digest of the bundle's canonical JSON: sorted keys, without ``hash`` itself."""
    fields = {name: getattr(bundle, name) for name in Bundle.__struct_fields__ if name != "hash"}
    # What the format has got since it was first written counts where it is used: what has none keeps its hash.
    data = {name: value for name, value in fields.items() if name not in _LATER or value is not None}
    data |= {"format": FORMAT}
    return f"sha256:{hashlib.sha256(msgspec.json.encode(data, order='sorted')).hexdigest()}"


def encode(bundle: Bundle) -> bytes:
    """Gives the bundle as JSON: the same bundle always as the same bytes, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(bundle, order="sorted"), indent=1) + b"\n"


def decode(document: bytes, where: str = "bundle") -> Bundle:
    """Reads a bundle.

    Args:
        document: The JSON.
        where: What to call it in an error, for example the file's path.

    Raises:
        BundleError: It is not a bundle, its format is not known, or its content does not match its hash.
    """
    try:
        head = msgspec.json.decode(document, type=_Head)
    except _UNREADABLE as error:
        raise BundleError(
            f"{where}: not a bundle: {error}; expected what `aphiria-deploy synth --bundle` writes"
        ) from error
    if head.format != FORMAT:
        raise BundleError(
            f"{where}: format: found {head.format!r}, expected {FORMAT!r}: use the version of aphiria-deploy "
            "that wrote it, or a newer one"
        )
    if not head.hash:
        # Without, it would be sealed anew, whatever had become of it.
        raise BundleError(f"{where}: hash: found none, expected sha256: and 64 hex digits")
    try:
        return msgspec.json.decode(document, type=Bundle)
    except _UNREADABLE as error:
        raise BundleError(f"{where}: {error}") from error


def read(path: Path) -> Bundle:
    """Reads a bundle from a file.

    Raises:
        BundleError: The file cannot be read, or is not a bundle.
    """
    try:
        document = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: {error.strerror}; expected a file that `aphiria-deploy synth --bundle` wrote"
        ) from error
    return decode(document, str(path))


def json_schema() -> dict[str, Any]:
    """Gives the JSON schema (draft 2020-12) of the format."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": FORMAT}
    schema |= msgspec.json.schema(Bundle)
    for definition in schema["$defs"].values():
        if "description" in definition:
            # As Python 3.13 and newer have it by themselves.
            definition["description"] = inspect.cleandoc(definition["description"])
    # It has a default only while a bundle is being made.
    schema["$defs"]["Bundle"]["required"].append("hash")
    return schema


class _Head(msgspec.Struct):
    format: str
    hash: Any = None

"""Load CustomResourceDefinitions.

A definition is what a release's YAML says, as plain dicts and lists. Its schemas are structural schemas
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

JsonObject: TypeAlias = dict[str, Any]


class CrdError(Exception):
    """A CRD, or the table of what is used of it, is not as expected; the message names the place."""


@dataclass(frozen=True)
class Crd:
    """One CustomResourceDefinition, and the file that it is from."""

    source: str
    document: JsonObject

    @property
    def name(self) -> str:
        """Its name in a cluster, `<plural>.<group>`."""
        return str(self.document["metadata"]["name"])

    @property
    def group(self) -> str:
        """Its API group, like `gateway.networking.k8s.io`."""
        return str(self.document["spec"]["group"])

    @property
    def kind(self) -> str:
        """The kind of its objects."""
        return str(self.document["spec"]["names"]["kind"])

    def schema(self, version: str) -> JsonObject:
        """The OpenAPI v3 schema of a version's objects.

        Raises:
            CrdError: The version is absent, not served, or not the one that is stored: objects of such a
                version are refused, or converted, so that what is read back is not what was written.
        """
        versions: list[JsonObject] = self.document["spec"]["versions"]
        for candidate in versions:
            if candidate["name"] == version and candidate["served"] and candidate["storage"]:
                schema: JsonObject = candidate["schema"]["openAPIV3Schema"]
                return schema
        found = ", ".join(_describe_version(candidate) for candidate in versions)
        raise CrdError(
            f"{self.source}: {self.name}: found versions {found}; expected {version}, served and stored. "
            f"Where the project has moved on, change the version in the table."
        )


def parse_crds(text: str, source: str) -> list[Crd]:
    """The CRDs in a YAML stream; a release's file may have other objects beside them.

    Raises:
        CrdError: The text is not YAML, or a CRD in it lacks a name, group, kind, version or schema.
    """
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise CrdError(f"{source}: found no YAML: {error}; expected a release's CRDs.") from error
    crds = [
        Crd(source, document)
        for document in documents
        if isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition"
    ]
    for number, crd in enumerate(crds, start=1):
        _check_shape(crd, number)
    return crds


def load_crds(path: Path) -> list[Crd]:
    """The CRDs in a file.

    Raises:
        CrdError: The file cannot be read; and see `parse_crds`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CrdError(f"{path}: found {error}; expected a file of CRDs.") from error
    return parse_crds(text, str(path))


def find_crd(crds: Iterable[Crd], name: str, place: str) -> Crd:
    """The one CRD of that name; `place` says where they are from.

    Raises:
        CrdError: There is none, or more than one.
    """
    every = list(crds)
    matches = [crd for crd in every if crd.name == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        found = f"it {len(matches)} times"
    else:
        found = ", ".join(sorted(crd.name for crd in every)) or "no CRD"
    raise CrdError(f"{place}: found {found}; expected one CRD {name}.")


def _describe_version(version: JsonObject) -> str:
    lacking = [word for key, word in (("served", "served"), ("storage", "stored")) if not version[key]]
    return f"{version['name']} (not {' and not '.join(lacking)})" if lacking else str(version["name"])


def _check_shape(crd: Crd, number: int) -> None:
    """Let every later access be one that cannot fail."""
    try:
        named = (crd.name, crd.group, crd.kind)
        versions = crd.document["spec"]["versions"]
        complete = all(
            isinstance(version["schema"]["openAPIV3Schema"]["properties"], dict)
            and isinstance(version["name"], str)
            and isinstance(version["served"], bool)
            and isinstance(version["storage"], bool)
            for version in versions
        )
    except (KeyError, TypeError) as error:
        raise CrdError(
            f"{crd.source}: CRD number {number}: found none of {error}; expected an apiextensions.k8s.io/v1 "
            f"CustomResourceDefinition."
        ) from error
    if not complete or not versions or not all(named):
        raise CrdError(
            f"{crd.source}: CRD number {number} ({crd.name}): found no version, or one without name, served, "
            f"storage or schema; expected an apiextensions.k8s.io/v1 CustomResourceDefinition."
        )

"""Where an object lives and what it belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.errors import InvalidValueError
from constructs_lib.values import Name

MANAGED_BY = "aphiria-deploy"
"""The value of ``app.kubernetes.io/managed-by`` on everything that the library makes."""

_PREFIX = "app.kubernetes.io/"
_OWN = frozenset({"app", *(f"{_PREFIX}{name}" for name in ("name", "component", "instance", "part-of", "managed-by"))})
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an object lives and what it belongs to.

    Attributes:
        namespace: Its namespace.
        part_of: The site, as ``app.kubernetes.io/part-of``.
        instance: The environment, as ``app.kubernetes.io/instance``.
        labels: More labels for every object.

    Raises:
        InvalidValueError: The namespace is not a name, a label is not one, or is one of the library's own.
    """

    namespace: str
    part_of: str
    instance: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Name(self.namespace)
        check_labels({"part-of": self.part_of, "instance": self.instance, **self.labels})

    def object_labels(self, name: str, component: str) -> dict[str, str]:
        """The labels of an object: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/."""
        return {
            "app": name,
            f"{_PREFIX}name": name,
            f"{_PREFIX}component": component,
            f"{_PREFIX}instance": self.instance,
            f"{_PREFIX}part-of": self.part_of,
            f"{_PREFIX}managed-by": MANAGED_BY,
            **self.labels,
        }

    def metadata(
        self,
        name: str,
        *,
        app: str,
        component: str,
        annotations: Mapping[str, str] | None = None,
        namespaced: bool = True,
    ) -> dict[str, Any]:
        """The ``metadata`` of an object.

        Args:
            name: The object's name.
            app: The application that it is a part of, the selector of its pods.
            component: Its role in the site, such as ``frontend``.
            annotations: Its annotations.
            namespaced: Whether it is in the namespace; objects of the whole cluster are not.
        """
        return {
            "name": name,
            **({"namespace": self.namespace} if namespaced else {}),
            "labels": self.object_labels(app, component),
            **({"annotations": dict(annotations)} if annotations else {}),
        }


def check_labels(labels: Mapping[str, str]) -> None:
    """Checks labels that somebody adds.

    Raises:
        InvalidValueError: A label is not one, or is one of the library's own: selectors rely on these.
    """
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise InvalidValueError(
                "label", key, "[prefix/]name, the name at most 63 letters, digits, '-', '_' and '.'"
            )
        if key in _OWN:
            raise InvalidValueError("label", key, "one that the library does not set itself")
        if not _LABEL_VALUE.fullmatch(value):
            raise InvalidValueError(
                f"label {key}", value, "at most 63 letters, digits, '-', '_' and '.', not at an end"
            )

"""Values: one that exists is valid, so nothing behind it has to check again."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import ip_network
from typing import ClassVar, Self

from constructs_lib.checks import quantity
from constructs_lib.errors import InvalidValueError

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, order=True)
class _Text(ABC):
    """A value that is written as one string."""

    value: str
    what: ClassVar[str]
    expected: ClassVar[str]

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self._valid():
            raise InvalidValueError(self.what, self.value, self.expected)

    def __str__(self) -> str:
        return self.value

    @abstractmethod
    def _valid(self) -> bool:
        """Whether the text is one."""


class Name(_Text):
    """A name of an object that is also a DNS label (RFC 1123): a namespace, a Service, a container.

    Raises:
        InvalidValueError: It is not one.
    """

    what = "name"
    expected = "a DNS label (RFC 1123): at most 63 lower-case letters, digits and '-', not at an end"

    def _valid(self) -> bool:
        return _LABEL.fullmatch(self.value) is not None


class Hostname(_Text):
    """A host name, or with ``*.`` in front a wildcard for exactly one label, as the Gateway API has it.

    Raises:
        InvalidValueError: It is not one.
    """

    what = "host name"
    expected = (
        "lower-case DNS labels joined by dots, '*.' in front at most, such as www.example.com or *.example.com, "
        "and no IP address"
    )

    def _valid(self) -> bool:
        labels = self.value.removeprefix("*.").split(".")
        # Digits alone at the end are an IP address, which neither a certificate nor a listener takes.
        named = len(labels) > 1 and not labels[-1].isdigit()
        return named and len(self.value) <= 253 and all(map(_LABEL.fullmatch, labels))

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every label in front of a domain."""
        return self.value.startswith("*.")

    @property
    def parent(self) -> str:
        """The domain behind the first label."""
        return self.value.partition(".")[2]

    def covers(self, other: Hostname) -> bool:
        """Whether a certificate and a listener for this name serve the other: a wildcard stands for one label."""
        return self == other or (self.is_wildcard and not other.is_wildcard and self.parent == other.parent)


class DatabaseName(_Text):
    """The name of a PostgreSQL database or role that needs no quotes and is none of the server's own.

    Raises:
        InvalidValueError: It is not one.
    """

    what = "database name"
    expected = (
        "a lower-case letter, then at most 62 lower-case letters, digits and '_', "
        "and neither postgres, template0, template1, public nor pg_…"
    )
    # https://www.postgresql.org/docs/16/sql-syntax-lexical.html: 63 bytes; pg_ is reserved for roles.
    _reserved: ClassVar[frozenset[str]] = frozenset({"postgres", "template0", "template1", "public"})

    def _valid(self) -> bool:
        shaped = re.fullmatch(r"[a-z][a-z0-9_]{0,62}", self.value) is not None
        return shaped and self.value not in self._reserved and not self.value.startswith("pg_")


class CronSchedule(_Text):
    """The schedule of a CronJob: five fields, in UTC, as the controller's parser (robfig/cron v3) reads them.

    Raises:
        InvalidValueError: It is not one.
    """

    what = "cron schedule"
    expected = "minute, hour, day of month, month and day of week, such as '0 2 * * *' for two o'clock every day"
    _months: ClassVar[tuple[str, ...]] = (
        "jan",
        "feb",
        "mar",
        "apr",
        "may",
        "jun",
        "jul",
        "aug",
        "sep",
        "oct",
        "nov",
        "dec",
    )
    _days: ClassVar[tuple[str, ...]] = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

    def _valid(self) -> bool:
        # Not str.split: it also parts at characters at which the controller's parser does not.
        fields = re.split(r"[ \t]+", self.value)
        ranges = [(0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, self._months), (0, 6, self._days)]
        return len(fields) == len(ranges) and all(
            self._item(item, low, high, names)
            for field, (low, high, names) in zip(fields, ranges, strict=True)
            for item in field.split(",")
        )

    @staticmethod
    def _item(item: str, low: int, high: int, names: tuple[str, ...]) -> bool:
        span, slash, step = item.partition("/")
        if slash and not (re.fullmatch(r"[0-9]{1,2}", step) and int(step) > 0):
            return False
        if span in {"*", "?"}:
            return True
        ends = [
            low + names.index(end.lower())
            if end.lower() in names
            else int(end)
            if re.fullmatch(r"[0-9]{1,2}", end)
            else -1
            for end in span.split("-")
        ]
        return len(ends) <= 2 and all(low <= end <= high for end in ends) and ends == sorted(ends)


class Quantity(_Text):
    """An amount of CPU or memory, as Kubernetes writes it: ``500m``, ``1``, ``256Mi``, ``1e3``.

    Raises:
        InvalidValueError: It is not one, or it is negative.
    """

    what = "quantity"
    expected = "a Kubernetes quantity, such as 500m or 2 for CPU and 256Mi or 1Gi for memory"

    def _valid(self) -> bool:
        return quantity.is_quantity(self.value) and not self.value.startswith(("+", "-"))

    @property
    def amount(self) -> Fraction:
        """How much it is: cores, or bytes."""
        return quantity.parse(self.value)


class BodySize(_Text):
    """The largest body of a request, as nginx writes it: bytes, or with ``k``, ``m`` or ``g``.

    Raises:
        InvalidValueError: It is not one.
    """

    what = "body size"
    expected = "at most four digits and k, m or g, such as 10m"

    def _valid(self) -> bool:
        return re.fullmatch(r"[0-9]{1,4}[kmg]?", self.value) is not None


def network_problems(prop: str, networks: Iterable[str]) -> list[str]:
    """Says what is wrong with networks in CIDR notation, a line for each that is not one, beginning with the prop."""
    problems = []
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            problems.append(f"{prop}: found {network!r}, expected a network such as 10.0.0.0/8: {error}")
    return problems


@dataclass(frozen=True)
class Resources:
    """What a container is promised and what it may use at most.

    Attributes:
        cpu_request: Cores that it is promised.
        memory_request: Bytes that it is promised.
        cpu_limit: Cores that it may use.
        memory_limit: Bytes that it may use.

    Raises:
        InvalidValueError: A request is larger than its limit, or memory is no whole number of bytes.
    """

    cpu_request: Quantity
    memory_request: Quantity
    cpu_limit: Quantity
    memory_limit: Quantity

    def __post_init__(self) -> None:
        for what, request, limit in (
            ("CPU", self.cpu_request, self.cpu_limit),
            ("memory", self.memory_request, self.memory_limit),
        ):
            if request.amount > limit.amount:
                raise InvalidValueError(f"request of {what}", str(request), f"at most the limit, {limit}")
        for what, memory in (("request", self.memory_request), ("limit", self.memory_limit)):
            # 256m is a quarter of a byte: Kubernetes takes it, with a warning that nobody reads.
            if memory.amount.denominator != 1:
                raise InvalidValueError(f"{what} of memory", str(memory), "whole bytes, such as 256Mi")

    @classmethod
    def parse(cls, requests: str, limits: str) -> Self:
        """Reads two pairs of CPU and memory, such as ``100m/256Mi`` and ``500m/1Gi``.

        Raises:
            InvalidValueError: One is not a pair of quantities, or a request is larger than its limit.
        """
        pairs = []
        for what, pair in (("requests", requests), ("limits", limits)):
            cpu, slash, memory = pair.partition("/")
            if not slash:
                raise InvalidValueError(what, pair, "CPU and memory, such as 100m/256Mi")
            pairs += [Quantity(cpu), Quantity(memory)]
        return cls(*pairs)

    def manifest(self) -> dict[str, dict[str, str]]:
        """The ``resources`` of a container."""
        return {
            "requests": {"cpu": str(self.cpu_request), "memory": str(self.memory_request)},
            "limits": {"cpu": str(self.cpu_limit), "memory": str(self.memory_limit)},
        }


@dataclass(frozen=True)
class ImageRef:
    """A reference to a container image: ``[registry/]repository[:tag][@digest]``.

    The form is that of https://github.com/distribution/reference.

    Attributes:
        registry: The registry's host and port; none for an image that exists on the node alone, or is short for one
            of Docker Hub's.
        repository: The path behind the registry.
        tag: The tag, where there is one.
        digest: ``sha256:`` and 64 hex digits, where there is one.

    Raises:
        InvalidValueError: A part is not one.
    """

    registry: str | None
    repository: str
    tag: str | None = None
    digest: str | None = None

    _expected: ClassVar[str] = (
        "[registry/]repository[:tag][@sha256:<64 hex digits>], such as "
        "ghcr.io/example/site-web@sha256:0123… with all 64 digits"
    )
    _form: ClassVar[re.Pattern[str]] = re.compile(
        r"(?P<name>[a-zA-Z0-9.\-:\[\]/_]+?)(:(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?(@(?P<digest>[^@]+))?"
    )
    _host: ClassVar[re.Pattern[str]] = re.compile(
        r"(localhost|[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(:[0-9]{1,5})?"
    )
    _component: ClassVar[re.Pattern[str]] = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")

    @classmethod
    def parse(cls, ref: str) -> Self:
        """Reads a reference.

        Raises:
            InvalidValueError: It is not one; a digest that was cut is not one.
        """
        parts = cls._parts(ref)
        if parts is None:
            raise InvalidValueError("image", ref, cls._expected)
        return cls(*parts)

    def __post_init__(self) -> None:
        # What it is written as reads back as itself, however it was made.
        if self._parts(str(self)) != (self.registry, self.repository, self.tag, self.digest):
            raise InvalidValueError("image", str(self), self._expected)

    @classmethod
    def _parts(cls, ref: str) -> tuple[str | None, str, str | None, str | None] | None:
        match = cls._form.fullmatch(ref) if len(ref) <= 512 else None
        if match is None:
            return None
        first, slash, rest = match["name"].partition("/")
        # The first component is a registry when it cannot be a path: it has a dot or a port, or is localhost.
        registry, repository = (
            (first, rest) if slash and (set(".:") & set(first) or first == "localhost") else (None, match["name"])
        )
        if (
            (registry is not None and not cls._host.fullmatch(registry))
            or len(repository) > 255
            or not all(map(cls._component.fullmatch, repository.split("/")))
            or (match["digest"] is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", match["digest"]))
        ):
            return None
        return registry, repository, match["tag"], match["digest"]

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True)
class SecretKey:
    """One key of a Secret: constructs refer to secrets and never take their values.

    Attributes:
        secret: The Secret's name, in the namespace of the pod that uses it.
        key: The key.

    Raises:
        InvalidValueError: One cannot be the name of a Secret, or a key in one.
    """

    secret: str
    key: str

    def __post_init__(self) -> None:
        labels = self.secret.split(".")
        if len(self.secret) > 253 or not all(map(_LABEL.fullmatch, labels)):
            raise InvalidValueError("name of a Secret", self.secret, "lower-case DNS labels, joined by dots")
        if not re.fullmatch(r"[-._A-Za-z0-9]{1,253}", self.key):
            raise InvalidValueError(
                f"key of Secret {self.secret}", self.key, "at most 253 letters, digits, '-', '_' and '.'"
            )

    def env(self, name: str) -> dict[str, object]:
        """An environment variable of a container whose value is the key's."""
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": self.secret, "key": self.key}}}

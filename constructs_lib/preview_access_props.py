"""What is said of the accounts of previews, for the objects that they consist of and the policies that pin them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constructs_lib.database_job import DatabaseJobProps
from constructs_lib.errors import InvalidPropsError
from constructs_lib.gateway_ref import GatewayRef
from constructs_lib.namespace import NamespaceProps
from constructs_lib.placement import Placement
from constructs_lib.values import Hostname


@dataclass(frozen=True, kw_only=True)
class PreviewAccessProps:
    """What the accounts of previews may do, by the example of one preview.

    Attributes:
        placement: What the objects belong to; its namespace is the one in which environments are remembered.
        number: The number of the preview that the following are of. Wherever it stands in them, the number of the
            preview in question is meant: it needs six digits or more, so that it stands nowhere else.
        namespace: The preview's namespace; ``pr-<number>`` is its placement's instance. Its isolation is made with
            the account, and the account cannot change it.
        secrets: The Secrets of the preview's namespace.
        hostnames: The hosts of its routes.
        database_job: Its database's Jobs: the account may run exactly these.
        gateway: The Gateway.

    Raises:
        InvalidPropsError: The number is too short, or is missing where previews must differ.
    """

    placement: Placement
    number: int
    namespace: NamespaceProps
    secrets: Sequence[str]
    hostnames: Sequence[Hostname]
    database_job: DatabaseJobProps
    gateway: GatewayRef

    def __post_init__(self) -> None:
        digits = str(self.number)
        own = {
            "namespace.placement.namespace": self.namespace.placement.namespace,
            "database_job.suffix": self.database_job.suffix,
            "database_job.database": str(self.database_job.database),
            "database_job.role": str(self.database_job.role),
            "database_job.verifier.secret": self.database_job.verifier.secret,
            **{f"hostnames[{place}]": str(host) for place, host in enumerate(self.hostnames)},
        }
        problems = [
            f"{prop}: found {text!r}, expected one with the preview's number, {digits}: two previews would share it"
            for prop, text in own.items()
            if digits not in text
        ]
        if self.number < 100_000:
            problems.append(f"number: found {digits}, expected six digits or more")
        if self.environment != f"pr-{digits}":
            problems.append(f"namespace.placement.instance: found {self.environment!r}, expected 'pr-{digits}'")
        if not self.hostnames:
            problems.append("hostnames: found none, expected one or more")
        if problems:
            raise InvalidPropsError(f"PreviewAccess: {problem}" for problem in problems)

    @property
    def environment(self) -> str:
        """The name of the preview."""
        return self.namespace.placement.instance

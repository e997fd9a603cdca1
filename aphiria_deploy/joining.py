"""The join of a cluster and its sites, as a story: stack, base, address, records, names; every step may run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.errors import AphiriaDeployError, InputError
from aphiria_deploy.kube import Deadline
from aphiria_deploy.progress import Progress
from aphiria_deploy.resolving import Lookup, wait_until_resolved
from aphiria_deploy.stacks import Digest
from aphiria_deploy.stacks.runs import Runner

DNS_SUFFIX: Final = "-dns"
"""What the name of the stack with a cluster's DNS records ends in, after that of the cluster's."""

_ROUNDS: Final = 3
"""How often an address may change under way."""


class AddressChangesError(AphiriaDeployError):
    """The Gateway's address was another one each time that it was looked at."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How the join is done.

    Attributes:
        skip_cluster: Whether the cluster's stack is only asked for its outputs.
        skip_dns: Whether the DNS records are let be.
        skip_dns_wait: Whether it is not waited until the names lead to the Gateway.
        address_seconds: How long to wait for the Gateway's address.
        names_seconds: How long to wait for the names.
    """

    skip_cluster: bool = False
    skip_dns: bool = False
    skip_dns_wait: bool = False
    address_seconds: float = 600.0
    names_seconds: float = 900.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the join joins.

    Attributes:
        runner: Runs the stacks.
        approve: Is asked before the cluster's stack is changed.
        deploy: Deploys the base, or the whole site, on the cluster that a stack's outputs name.
        address: Waits for the address of the Gateway that they name.
        lookup: Gives what asks a zone's name servers.
    """

    runner: Runner
    approve: Callable[[str], bool]
    deploy: Callable[[Mapping[str, Any]], Report]
    address: Callable[[Mapping[str, Any], Deadline], str]
    lookup: Callable[[str], Lookup]


@dataclass
class Joined:
    """What became of a join.

    Attributes:
        stack: The cluster's stack.
        report: The report of the deploy; none where it did not come to that.
        digests: What happened to the stacks.
        address: The Gateway's address.
        names: The names that lead to it.
        outputs: The stack's outputs.
    """

    stack: str
    report: Report | None = None
    digests: list[Digest] = field(default_factory=list)
    address: str = ""
    names: Sequence[str] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict, repr=False)


def join(stack: str, parts: Parts, how: How, deadline: Deadline, progress: Progress) -> Joined:
    """Makes a cluster, deploys on it, and points its names at it.

    Args:
        stack: The cluster's stack.
        parts: What is joined.
        how: How.
        deadline: By when all must be done.
        progress: Is told what happens.

    Returns:
        What became of it; of a deploy that failed or was refused, without what comes after.

    Raises:
        AphiriaDeployError: A step failed. The same command goes on from there.
    """
    joined = Joined(stack)
    if not how.skip_cluster:
        progress.phase(f"stack {stack}")
        if not parts.approve(stack):
            return joined
        joined.digests.append(parts.runner.up(stack))
    joined.outputs = parts.runner.outputs(stack)
    joined.report = parts.deploy(joined.outputs)
    if joined.report.result not in {"deployed", "unchanged"} or how.skip_dns:
        return joined
    _point_names(joined, parts, how, deadline, progress)
    return joined


def _point_names(joined: Joined, parts: Parts, how: How, deadline: Deadline, progress: Progress) -> None:
    """Writes the records, and again where the address has changed meanwhile."""
    dns = f"{joined.stack}{DNS_SUFFIX}"

    def address_now() -> str:
        progress.phase("the Gateway's address")
        waits = deadline.within(how.address_seconds, f"waiting for the address of {joined.stack}")
        return parts.address(joined.outputs, waits)

    joined.address = address_now()
    for _ in range(_ROUNDS):
        progress.phase(f"stack {dns}")
        joined.digests.append(parts.runner.up(dns, {"address": joined.address}))
        records = parts.runner.outputs(dns)
        joined.names = tuple(records["names"])
        if not how.skip_dns_wait:
            progress.phase("the names")
            waits = deadline.within(how.names_seconds, f"waiting for the names of {joined.stack}")
            lookup = parts.lookup(str(records["zone"]))
            wait_until_resolved(joined.names, joined.address, lookup, waits, progress.note)
        if (now := address_now()) == joined.address:
            return
        progress.note(f"the Gateway's address has changed from {joined.address} to {now}")
        joined.address = now
    raise AddressChangesError(
        f"{joined.stack}: the Gateway's address: found another one {_ROUNDS} times, at last {joined.address}, expected "
        "one that stays: see the events of its Service, and run the command again"
    )


def preview(stack: str, parts: Parts, progress: Progress) -> Joined:
    """Shows what `join` would do, as far as that can be known before it is done.

    Args:
        stack: The cluster's stack.
        parts: What is joined; what deploys only plans.
        progress: Is told what happens.

    Raises:
        AphiriaDeployError: It could not be found out.
    """
    joined = Joined(stack)
    progress.phase(f"stack {stack}")
    joined.digests.append(parts.runner.preview(stack))
    try:
        joined.outputs = parts.runner.outputs(stack)
    except InputError:
        progress.note(f"stack {stack}: the cluster is not there yet: what is deployed on it cannot be planned before")
        return joined
    joined.report = parts.deploy(joined.outputs)
    return joined

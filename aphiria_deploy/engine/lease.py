"""One holder at a time: a Lease for each environment, outside of it, so that it is there before and after it.

All times are the cluster's, so that two machines whose clocks differ agree on when a lease has expired.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.errors import (
    AlreadyExistsError,
    AphiriaDeployError,
    CancelledError,
    ConflictError,
    DeadlineExceededError,
    NotFoundError,
    OutcomeUnknownError,
)
from aphiria_deploy.fields import at, moment, number, text
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Ref

SECONDS = 15
"""How long a lease is good for after it was last renewed."""
RENEW_SECONDS = 5.0
MARGIN_SECONDS = 3.0
"""So long before a lease runs out nothing more is written: what is under way must have reached the server."""

_KIND = Kind("coordination.k8s.io/v1", "Lease")
_DOING = "deploy.aphiria.com/doing"


class LockedError(AphiriaDeployError):
    """Somebody else works on the environment."""

    exit_code = 4


class LeaseLostError(AphiriaDeployError):
    """The lease could not be kept: somebody else may work on the environment now."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes:
        identity: Whom nobody else is: who, where, which process, and a random part.
        doing: What for: ``deploy``.
    """

    doing: str
    identity: str = field(default_factory=lambda: f"{author()}@{socket.gethostname()}/{os.getpid()}/{_unique()}")


def author() -> str:
    """Who runs this command, as the machine knows them."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class Lease:
    """An environment's lease, held.

    Args:
        client: The cluster.
        live: The Lease as it was acquired.
        cancellation: Is told to stop when the lease is lost.
    """

    def __init__(self, client: Client, live: Manifest, cancellation: Cancellation) -> None:
        self._client = client
        self._live = live
        self._holding = cancellation
        self._lost = ""
        self._stop = Cancellation()
        self._good_until = _expiry(live)
        self._thread = threading.Thread(target=self._renew_on, name=f"lease of {live['metadata']['name']}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Does nothing while the lease is held.

        Raises:
            LeaseLostError: It is not any more, or about to run out: whatever kept it from being renewed.
        """
        # The thread that renews it may have slept too: on a machine that was suspended both wake at once.
        lost = self._lost or ("it ran out before it could be renewed" if self._left <= 0 else "")
        if lost:
            raise LeaseLostError(
                f"{Ref.of(self._live)}: {lost}; expected to hold it to the end: nothing more is written; see who else "
                "works on this environment, and run it again"
            )

    def release(self, deadline: Deadline) -> None:
        """Gives it back; nothing else is done where it is somebody else's by now."""
        self._stop.cancel("it is given back")
        self._thread.join(deadline.remaining)
        ref = Ref.of(self._live)
        while True:
            metadata = self._live["metadata"]
            try:
                # In the foreground it would be there, and somebody's, for a moment longer.
                self._client.delete(
                    ref,
                    deadline,
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                    propagation="Background",
                )
            except (ConflictError, OutcomeUnknownError):
                live = self._client.find(ref, deadline)
                if live is None or _holder(live) != _holder(self._live):
                    return
                self._live = live
            else:
                return

    @property
    def _left(self) -> float:
        """For how many seconds more something may be written."""
        return (self._good_until - self._client.now()).total_seconds() - MARGIN_SECONDS

    def _renew_on(self) -> None:
        while not self._stop.wait(self._pause()):
            try:
                self._renew()
            except CancelledError:
                return
            except AphiriaDeployError as error:
                self._lost = f"the lease was lost: {error}"
                self._holding.cancel(self._lost)
                return

    def _pause(self) -> float:
        """Until it is to be renewed: at once where it took long to get it."""
        return max(0.0, min(RENEW_SECONDS, self._left - (SECONDS - MARGIN_SECONDS - RENEW_SECONDS)))

    def _renew(self) -> None:
        """Renews it by the time when it runs out, however often that takes."""
        deadline = Deadline.after(max(self._left, 0.0), "renewing the lease", self._stop)
        while True:
            renewed = self._live | {"spec": self._live["spec"] | {"renewTime": _timestamp(self._client.now())}}
            try:
                self._live = self._client.replace(renewed, deadline)
            except (ConflictError, OutcomeUnknownError):
                live = self._client.get(Ref.of(self._live), deadline)
                if _holder(live) != _holder(self._live):
                    raise LeaseLostError(f"{_holder(live) or 'nobody'} holds it now") from None
                self._live = live
            except NotFoundError:
                raise LeaseLostError("somebody deleted it") from None
            else:
                self._good_until = _expiry(self._live)
                return


@contextmanager
def held(
    client: Client,
    environment: str,
    holder: Holder,
    deadline: Deadline,
    cancellation: Cancellation,
    *,
    wait_seconds: float = 0.0,
) -> Iterator[Lease]:
    """Holds an environment's lease while in the block.

    Args:
        client: The cluster.
        environment: Whose lease.
        holder: Who.
        deadline: By when it must be had.
        cancellation: What works under the lease: it is told to stop when the lease is lost.
        wait_seconds: How long to wait for another holder.

    Raises:
        LockedError: Somebody else holds it.
        LeaseLostError: It was lost meanwhile.
    """
    lease = Lease(client, _acquire(client, environment, holder, deadline, wait_seconds), cancellation)
    try:
        try:
            yield lease
        except CancelledError:
            lease.check()
            raise
        lease.check()
    finally:
        # Also after Ctrl-C, and when there is no time left for anything else. One that cannot be given back runs out
        # by itself, and what happened before is what is to be told.
        with suppress(AphiriaDeployError):
            lease.release(Deadline.after(10, "giving the lease back"))


def exists(client: Client, environment: str, deadline: Deadline) -> bool:
    """Whether there is a lease of an environment, whoever holds it, or held it until they died."""
    return client.find(Ref(_KIND, environment, NAMESPACE), deadline, metadata_only=True) is not None


def _acquire(client: Client, environment: str, holder: Holder, deadline: Deadline, wait_seconds: float) -> Manifest:
    patience = deadline.within(wait_seconds)
    ref = Ref(_KIND, environment, NAMESPACE)
    while True:
        live = client.find(ref, deadline)
        now = client.now()
        if live is not None and (other := _holder(live)) not in {"", holder.identity} and _expiry(live) > now:
            _wait(live, other, now, patience, deadline)
            continue
        wanted = _manifest(ref, holder, live, now)
        try:
            return client.replace(wanted, deadline) if live else client.create(wanted, deadline)
        except (AlreadyExistsError, ConflictError, OutcomeUnknownError):
            # Somebody was faster, or it is ours already: the next look tells.
            continue
        except NotFoundError:
            # It went meanwhile; where it was to be made, its namespace is not there.
            if live is None:
                raise


def _wait(live: Manifest, other: str, now: datetime, patience: Deadline, deadline: Deadline) -> None:
    spec = live["spec"]
    since, doing = text(spec.get("acquireTime")), (live["metadata"].get("annotations") or {}).get(_DOING, "")
    message = (
        f"{Ref.of(live)}: found {other} at work{f' ({doing})' if doing else ''} since {since}, expected nobody: wait "
        f"for it with --wait-for-lock 10m; a run that died is forgotten {SECONDS} s after its last sign of life"
    )
    left = (_expiry(live) - now).total_seconds()
    try:
        # It is renewed every few seconds: there is nothing to see before.
        patience.sleep(min(max(left, 0.2), 1.0), f"{other} to finish")
    except DeadlineExceededError:
        deadline.check(f"{other} to finish")
        raise LockedError(message) from None


def _manifest(ref: Ref, holder: Holder, live: Manifest | None, now: datetime) -> Manifest:
    transitions = number(at(live, "spec", "leaseTransitions")) + 1 if live else 0
    metadata: dict[str, Any] = {
        "name": ref.name,
        "namespace": ref.namespace,
        "annotations": {_DOING: holder.doing},
    }
    if live:
        metadata |= {"resourceVersion": live["metadata"]["resourceVersion"], "uid": live["metadata"]["uid"]}
    return {
        "apiVersion": ref.kind.api_version,
        "kind": ref.kind.name,
        "metadata": metadata,
        "spec": {
            "holderIdentity": holder.identity,
            "leaseDurationSeconds": SECONDS,
            "acquireTime": _timestamp(now),
            "renewTime": _timestamp(now),
            "leaseTransitions": transitions,
        },
    }


def _holder(live: Manifest) -> str:
    return text(at(live, "spec", "holderIdentity"))


def _expiry(live: Manifest) -> datetime:
    """When a lease runs out; a Lease that says no time has run out."""
    renewed = moment(at(live, "spec", "renewTime"))
    seconds = number(at(live, "spec", "leaseDurationSeconds"), SECONDS)
    return renewed + timedelta(seconds=seconds) if renewed else datetime.min.replace(tzinfo=UTC)


def _timestamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _unique() -> str:
    return secrets.token_hex(4)

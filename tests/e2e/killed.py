"""Runs in processes of their own that are killed, or put to sleep, after their n-th write.

They are children of a process that has loaded everything already, and their leases are short, so that nobody waits long
for a dead one: how long one is good for is written in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from aphiria_deploy.engine import deploying, destroying, lease
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.kube import Cancellation, Client, Tried, load
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.progress import Silent
from aphiria_deploy.secrets import SecretInputs
from tests.e2e.small import Small

LEASE_SECONDS = 4


@dataclass(frozen=True)
class Doomed:
    """A run, and when it is to be killed.

    Attributes:
        kubeconfig: Of the cluster.
        action: ``deploy`` or ``destroy``.
        small: Of what.
        at: After which write, counted from 1.
        how: The signal: ``SIGKILL``, or ``SIGSTOP``.
    """

    kubeconfig: Path
    action: str
    small: Small
    at: int
    how: str = "SIGKILL"

    def written(self) -> str:
        """As one line."""
        return json.dumps(asdict(self) | {"kubeconfig": str(self.kubeconfig)}) + "\n"


class Runs:
    """Runs one after the other, while it is entered."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.e2e.killed"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()

    def begin(self, doomed: Doomed) -> int:
        """Begins a run; gives the number of its process."""
        assert self._process.stdin
        self._process.stdin.write(doomed.written())
        return int(self._told())

    def end(self) -> tuple[int, dict[str, Any]]:
        """Waits for the run that was begun; gives what its process ended with, and what it said."""
        told = json.loads(self._told())
        return told["status"], json.loads(told["said"] or "{}")

    def _told(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@dataclass
class _Writes:
    at: int
    how: str
    after: list[str] = field(default_factory=list)
    _made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, tried: Tried) -> None:
        if tried.method == "GET" or "dryRun=All" in tried.target:
            return
        with self._lock:
            self._made += 1
            if self._made == self.at:
                os.kill(os.getpid(), signal.Signals[self.how])
            elif self._made > self.at:
                self.after.append(tried.what)


def _main() -> None:
    lease.SECONDS, lease.RENEW_SECONDS, lease.MARGIN_SECONDS = LEASE_SECONDS, 1.0, 1.0
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os.write(writing, json.dumps(_run(json.loads(line))).encode())
            os._exit(0)
        os.close(writing)
        _tell(child)
        with os.fdopen(reading) as said:
            text = said.read()
        _tell(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "said": text}))


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _run(given: dict[str, Any]) -> dict[str, Any]:
    small = Small(**given["small"] | {"more": tuple(given["small"]["more"])})
    writes = _Writes(given["at"], given["how"])
    ended: dict[str, Any] = {}
    with Client(load(Path(given["kubeconfig"])), observe=writes) as client:
        try:
            if given["action"] == "deploy":
                inputs = SecretInputs({"ghcrToken": SecretValue("the-pull-token")}, {})
                deploy = deploying.Request(bundle=small.bundle(), inputs=inputs, timeout=60)
                ended["result"] = deploying.deploy(client, deploy, Silent(), Cancellation()).result
            else:
                destroy = destroying.Request(environment=small.environment, timeout=60)
                ended["result"] = destroying.destroy(client, destroy, Silent(), Cancellation()).result
        except AphiriaDeployError as error:
            ended["error"] = type(error).__name__
    return ended | {"after": writes.after}


if __name__ == "__main__":
    _main()

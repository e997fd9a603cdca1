"""Runs the pods of Jobs on this machine, on its network, without a container engine or a cluster.

Each container has mount and PID namespaces, a root of its own that is read-only where the manifest says so, and the
user, variables and mounts of the manifest. A volume is a folder, or where a test says how large it is a file system of
its own.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.runtime.pods import ROOTLESS, Image, Manifest, become, mount_script, resolve_env

Secrets = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Ended:
    """How a pod ended.

    Attributes:
        code: The exit code of the container that failed, or 0.
        logs: What each container that ran has written.
    """

    code: int
    logs: Mapping[str, str]

    @property
    def log(self) -> str:
        """What they have written, one after the other."""
        return "".join(self.logs.values())


@dataclass
class Machine:
    """Where pods run.

    Attributes:
        images: What stands for the images, by their references.
        folder: Where volumes and roots are made.
        secrets: The Secrets that containers read.
        given: Variables in place of the manifests'.
        sizes: How large a volume is, by its name, such as ``1m``.
    """

    images: Mapping[str, Image]
    folder: Path
    secrets: Secrets
    given: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    _pods: int = 0

    def run(self, job: Manifest, given: Mapping[str, str] | None = None, timeout: float = 120) -> Ended:
        """Runs a Job's pod to its end, one container after the other."""
        spec = job["spec"]["template"]["spec"]
        pod = self.new_pod()
        logs = {}
        for part in (*spec.get("initContainers", ()), *spec["containers"]):
            process = self.start(spec, part, pod, given)
            try:
                logs[part["name"]], _ = process.communicate(timeout=timeout)
            finally:
                kill(process)
            if process.returncode:
                return Ended(process.returncode, logs)
        return Ended(0, logs)

    def new_pod(self) -> Path:
        """The folder of another pod."""
        self._pods += 1
        return self.folder / f"pod-{self._pods}"

    def start(
        self, spec: Manifest, part: Manifest, pod: Path, given: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Starts a container of a pod."""
        image = self.images[part["image"]]
        volumes: dict[str, Path] = {}
        before = []
        for volume in spec.get("volumes", ()):
            assert "emptyDir" in volume
            place = pod / volume["name"]
            if not place.exists():
                place.mkdir(parents=True)
                place.chmod(0o777)
            volumes[volume["name"]] = place
            if size := self.sizes.get(volume["name"]):
                before.append(["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(place)])
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in part.get("volumeMounts", ())}
        security = part["securityContext"]
        script = "".join(f"{shlex.join(line)}\n" for line in before)
        script += mount_script(image, mounts, set(), security["readOnlyRootFilesystem"])
        user = become(image.root, security["runAsUser"], security["runAsGroup"])
        script += shlex.join(["exec", *user, *self._command(part["command"])])
        variables = resolve_env(part, {}, self.secrets) | dict(self.given) | dict(given or {})
        return subprocess.Popen(
            [
                *("setpriv", "--pdeathsig=KILL", "unshare", *(["--user", "--map-root-user"] if ROOTLESS else [])),
                *("--mount", "--pid", "--fork", "--", "sh", "-ec", script),
            ],
            cwd="/",
            env={**variables, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def _command(command: Sequence[str]) -> list[str]:
        """Gives a command that finds the image's own commands and no other."""
        return [f"{COMMANDS}/env", f"PATH={COMMANDS}", *command]


COMMANDS = "/opt/image/bin"
"""Where an image has its commands."""


def kill(process: subprocess.Popen[str]) -> None:
    """Kills a container, with all that runs in it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def terminate(process: subprocess.Popen[str]) -> None:
    """Tells a container's first process to end, as the kubelet does with a pod that is deleted."""
    (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(first), signal.SIGTERM)

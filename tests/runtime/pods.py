"""Runs the pods of synthesized manifests on this machine, without a container engine or a cluster.

Each pod has a network namespace; each container has a mount and a PID namespace in it, a root of its own that is
read-only where the manifest says so, and the user, variables, mounts, probes and preStop of the manifest. A volume is
a folder. What a container finds beside its volumes, its :class:`Image`, is Debian's programs in the layout of the
image that the manifest names.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
ROOTLESS = os.geteuid() != 0

Manifest = Mapping[str, Any]
"""An object of a set, or a part of one."""


@dataclass(frozen=True)
class Image:
    """What a container finds when it starts, and runs if the manifest does not say.

    Attributes:
        root: Its root folder, in front of the system's own programs and libraries.
        command: What it runs.
        trees: Folders of its own where the system's would be, by their path in the container.
    """

    root: Path
    command: Sequence[str]
    trees: Mapping[str, Path] = field(default_factory=dict)

    def path(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return _locate(self.root, self.trees, path)

    def write(self, path: str, content: str | bytes) -> None:
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


@dataclass(frozen=True)
class Answer:
    """A response to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Ending:
    """How a pod ended.

    Attributes:
        seconds: How long it took.
        killed: The containers that were still running at the end of the grace period.
    """

    seconds: float
    killed: Sequence[str]


class Pod:
    """A pod: started when it is made, ended by :meth:`end`, gone after :meth:`close`."""

    def __init__(
        self,
        template: Manifest,
        *,
        images: Mapping[str, Image],
        objects: Sequence[Manifest],
        folder: Path,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        network: Sequence[str] = (),
    ) -> None:
        """Starts a pod.

        Args:
            template: The pod template of a manifest.
            images: What stands for the images that it names.
            objects: The set that it is a part of, with its ConfigMaps.
            folder: Where its volumes and logs are made.
            secrets: The data of the Secrets that it refers to.
            network: More sysctls of its network, ``name=value``.
        """
        self._spec = template["spec"]
        self._images = images
        self._folder = folder
        self._data = {
            "configMap": {item["metadata"]["name"]: item["data"] for item in objects if item["kind"] == "ConfigMap"},
            "secret": secrets or {},
        }
        self._containers: dict[str, _Container] = {}
        self._line = threading.Lock()
        folder.mkdir(parents=True)
        for volume in self._spec.get("volumes", ()):
            self._make_volume(volume)
        sysctls = [f"{item['name']}={item['value']}" for item in self._spec["securityContext"].get("sysctls", ())]
        self._sandbox, self._runner = _start_sandbox([*sysctls, *network])
        try:
            for part in self._spec.get("initContainers", ()):
                self._run_to_its_end(part)
            for part in self._spec["containers"]:
                self._containers[part["name"]] = self._start(part)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def grace(self) -> int:
        """Seconds that it has for its end."""
        grace: int = self._spec["terminationGracePeriodSeconds"]
        return grace

    @property
    def http_port(self) -> int:
        """The container port that is named ``http``."""
        return next(number for part in self._spec["containers"] if (number := _ports(part).get("http")))

    def volume(self, name: str) -> Path:
        """The folder of one of its volumes."""
        return self._folder / "volumes" / name

    def logs(self) -> str:
        """What its containers wrote last."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join("\n".join([f"--- {log.stem}", *log.read_text().splitlines()[-20:]]) for log in logs)

    def socket(self) -> socket.socket:
        """A TCP socket in the pod's network, not connected yet."""
        with self._line:
            self._runner.send(b"?")
            _, descriptors, _, _ = socket.recv_fds(self._runner, 16, 1)
        return socket.socket(fileno=descriptors[0])

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        """Sends a request to the port ``http``, on a connection of its own."""
        connection = self.connect(self.http_port, timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def connect(self, port: int, timeout: float = 15) -> http.client.HTTPConnection:
        """Opens a connection to one of its ports."""
        connection = http.client.HTTPConnection("pod.example", port, timeout=timeout)
        connection.sock = self.socket()
        connection.sock.settimeout(timeout)
        try:
            connection.sock.connect(("127.0.0.1", port))
        except OSError:
            connection.close()
            raise
        return connection

    def is_ready(self) -> bool:
        """Whether the readiness probe of every container is answered now."""
        return all(self._probe(part) for part in self._spec["containers"] if "readinessProbe" in part)

    def wait_until_ready(self, timeout: float = 30) -> Self:
        """Waits for the readiness probes.

        Raises:
            TimeoutError: One is not answered in time, or a container has ended.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            ended = [name for name, container in self._containers.items() if container.process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise TimeoutError(f"not ready (ended: {', '.join(ended) or 'none'})\n{self.logs()}")
            time.sleep(0.03)
        return self

    def end(self) -> Ending:
        """Ends it as a kubelet does.

        All preStops run at once, each in its container; when one is over, or its container is, the container gets
        SIGTERM; what is left at the end of the grace period gets SIGKILL. The end of a container ends its preStop.

        https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
        """
        started = time.monotonic()
        commands = {part["name"]: part.get("lifecycle", {}).get("preStop") for part in self._spec["containers"]}
        for name, hook in commands.items():
            self._containers[name].begin_end(hook["exec"]["command"] if hook else None)
        running = dict(self._containers)
        killed: list[str] = []
        while running:
            if time.monotonic() - started > self.grace:
                killed += running
                for container in running.values():
                    container.kill()
            running = {name: container for name, container in running.items() if not container.advance_end()}
            time.sleep(0.02)
        return Ending(time.monotonic() - started, killed)

    def close(self) -> None:
        """Removes everything that still runs."""
        for container in self._containers.values():
            container.kill()
        self._runner.close()
        self._sandbox.wait()

    def _make_volume(self, volume: Mapping[str, Any]) -> None:
        folder = self.volume(volume["name"])
        folder.mkdir(parents=True)
        if "configMap" in volume:
            for name, text in self._data["configMap"][volume["configMap"]["name"]].items():
                (folder / name).write_text(text, encoding="utf-8")
        elif "emptyDir" in volume:
            folder.chmod(0o777)
        else:
            raise ValueError(
                f"volume {volume}: found a source that no container here has, expected emptyDir or configMap"
            )

    def _run_to_its_end(self, part: Mapping[str, Any]) -> None:
        container = self._start(part)
        try:
            failed = container.process.wait(timeout=60)
        finally:
            container.kill()
        if failed:
            raise RuntimeError(f"init container {part['name']} failed:\n{container.log.read_text()}")

    def _start(self, part: Mapping[str, Any]) -> _Container:
        sources = {
            mount["mountPath"]: self.volume(mount["name"]) / mount.get("subPath", "")
            for mount in part.get("volumeMounts", ())
        }
        read_only = {mount["mountPath"] for mount in part.get("volumeMounts", ()) if mount.get("readOnly")}
        return _Container(
            part["name"],
            self._images[part["image"]],
            network=self._sandbox.pid,
            command=[*part.get("command", ()), *part.get("args", ())],
            variables=resolve_env(part, self._data["configMap"], self._data["secret"]),
            mounts=sources,
            read_only=read_only,
            security=part["securityContext"],
            log=self._folder / f"{part['name']}.log",
        )

    def _probe(self, part: Mapping[str, Any]) -> bool:
        probe = part["readinessProbe"]
        kind = "httpGet" if "httpGet" in probe else "tcpSocket"
        port = _ports(part)[probe[kind]["port"]]
        try:
            connection = self.connect(port, probe["timeoutSeconds"])
        except OSError:
            return False
        try:
            if kind == "tcpSocket":
                return True
            connection.request("GET", probe["httpGet"]["path"])
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def resolve_env(
    part: Mapping[str, Any], config_maps: Mapping[str, Mapping[str, str]], secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Gives the variables of a container: what it takes from ConfigMaps and Secrets, and then its own."""
    variables: dict[str, str] = {}
    for source in part.get("envFrom", ()):
        if "configMapRef" in source:
            variables |= config_maps[source["configMapRef"]["name"]]
        else:
            variables |= secrets[source["secretRef"]["name"]]
    for variable in part.get("env", ()):
        if "value" in variable:
            variables[variable["name"]] = variable["value"]
        else:
            ref = variable["valueFrom"]["secretKeyRef"]
            variables[variable["name"]] = secrets[ref["name"]][ref["key"]]
    return variables


class _Container:
    """A container: its first process, and on its way out its preStop."""

    def __init__(
        self,
        name: str,
        image: Image,
        *,
        network: int,
        command: Sequence[str],
        variables: Mapping[str, str],
        mounts: Mapping[str, Path],
        read_only: set[str],
        security: Mapping[str, Any],
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        self._become = become(image.root, security["runAsUser"], security["runAsGroup"])
        self._network = network
        self._variables = {"PATH": _PATH, "HOSTNAME": "pod", **variables}
        self._pre_stop: subprocess.Popen[bytes] | None = None
        self._told = False
        script = mount_script(image, mounts, read_only, security["readOnlyRootFilesystem"])
        script += shlex.join(["exec", *self._become, *(command or image.command)])
        # Programs open their log again through /proc/self/fd, as their own user.
        log.touch()
        log.chmod(0o666)
        self.process = self._run(
            [
                *(
                    "nsenter",
                    "--target",
                    str(network),
                    *(["--user", "--preserve-credentials"] if ROOTLESS else []),
                    "--net",
                    "--",
                ),
                *("setpriv", "--pdeathsig=KILL"),
                *("unshare", "--mount", "--pid", "--fork", "--", "sh", "-ec", script),
            ]
        )
        self._pid = self._first_process()

    def begin_end(self, pre_stop: Sequence[str] | None) -> None:
        """Starts its preStop, where it has one."""
        if pre_stop and self.process.poll() is None:
            user = (
                ["nsenter", "--target", str(self._network), "--user", "--preserve-credentials", "--"]
                if ROOTLESS
                else []
            )
            enter = ["nsenter", "--target", str(self._pid), "--mount", "--pid", "--net", "--"]
            self._pre_stop = self._run([*user, *enter, *self._become, *pre_stop])

    def advance_end(self) -> bool:
        """Goes on with its end, and says whether it has ended."""
        if self.process.poll() is not None:
            if self._pre_stop:
                self._pre_stop.wait()
            return True
        if not self._told and (self._pre_stop is None or self._pre_stop.poll() is not None):
            self._told = True
            # It may just have ended, and its preStop with it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
        return False

    def kill(self) -> None:
        """Ends it at once, with all that runs in it: nothing outlives the first process of a PID namespace."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self.process.wait()

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd="/", env=self._variables, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def _first_process(self) -> int:
        """Finds the process that is the first of the container's PID namespace: the only child of ``unshare``."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found: list[str] = []

        def is_there() -> bool:
            if self.process.poll() is not None:
                return True
            found[:] = children.read_text().split()
            return bool(found)

        wait_until(is_there, timeout=10)
        return int(found[0]) if found else 0


def wait_until(condition: Callable[[], bool], *, timeout: float, step: float = 0.005) -> None:
    """Waits for a condition.

    Raises:
        TimeoutError: It does not come true in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {timeout} s: {condition.__qualname__}")
        time.sleep(step)


def _start_sandbox(sysctls: Sequence[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    runner, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    user = ["--user", "--map-root-user"] if ROOTLESS else []
    python = [sys.executable, "-I", "-S", str(Path(__file__).with_name("sandbox.py"))]
    with inside:
        sandbox = subprocess.Popen(
            ["unshare", *user, "--net", "--", *python, str(inside.fileno()), *sysctls], pass_fds=[inside.fileno()]
        )
    runner.settimeout(10)
    if runner.recv(2) != b"up":
        raise RuntimeError(f"the pod's network could not be made: {sandbox.wait()}")
    return sandbox, runner


def become(root: Path, uid: int, gid: int) -> list[str]:
    """Gives what makes a command run below a root, as a user, with no way to be more.

    It ends when its parent does, and so with the tests, however they end.
    """
    bounds = ["setpriv", "--pdeathsig=KILL", "--no-new-privs"]
    if ROOTLESS:
        # The user namespace in which it is that user is also the one that may change the root.
        user = ["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", f"--root={root}", "--wd=/", "--"]
        return [*user, *bounds, "--"]
    bounds += ["--bounding-set=-all", "--inh-caps=-all", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    return ["chroot", str(root), *bounds, "--"]


def mount_script(image: Image, volumes: Mapping[str, Path], read_only: set[str], read_only_root: bool) -> str:
    """Gives the commands that put a container's root together, and makes the places that they mount at."""
    root = image.root
    lines = [["mount", "--bind", str(root), str(root)]]
    for name in _SYSTEM:
        system = Path("/", name)
        if system.is_symlink():
            if not (root / name).is_symlink():
                (root / name).symlink_to(system.readlink())
        elif system.is_dir():
            (root / name).mkdir(exist_ok=True)
            lines.append(["mount", "--rbind", str(system), str(root / name)])
    for name in ("dev", "proc"):
        (root / name).mkdir(exist_ok=True)
    lines.append(["mount", "--rbind", "/dev", str(root / "dev")])
    lines.append(["mount", "-t", "proc", "proc", str(root / "proc")])
    places = dict(image.trees)
    lines += [["mount", "--bind", str(folder), f"{root}{path}"] for path, folder in image.trees.items()]
    for path in sorted(volumes):
        place, source = _locate(root, places, path), volumes[path]
        if source.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        lines.append(["mount", "--bind", str(source), f"{root}{path}"])
        if path in read_only:
            lines.append(["mount", "-o", "remount,bind,ro", f"{root}{path}"])
        places[path] = source
    if read_only_root:
        lines += [["mount", "-o", "remount,bind,ro", f"{root}{path}"] for path in ("", *image.trees)]
    return "".join(f"{shlex.join(line)}\n" for line in lines)


def _locate(root: Path, trees: Mapping[str, Path], path: str) -> Path:
    parents = [tree for tree in trees if path == tree or path.startswith(f"{tree}/")]
    tree = max(parents, key=len, default=None)
    return trees[tree] / path[len(tree) + 1 :] if tree else root / path.lstrip("/")


def _ports(part: Mapping[str, Any]) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in part.get("ports", ())}

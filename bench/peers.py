"""Those that deploy: our command, kubectl and helm, each with previews of its own in the same cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.engine.waves import waves
from aphiria_deploy.files import to_yaml, write

ROOT = Path(__file__).parent.parent
_BIN = Path(sys.executable).parent
_WAIT = "--timeout=120s"


@dataclass(frozen=True)
class Took:
    """What a command took, in seconds.

    Attributes:
        wall: From its start to its end.
        cpu: Of the processor, user and system, which other programs on the machine do not make more.
        ended: When it ended, by `time.monotonic`.
    """

    wall: float
    cpu: float
    ended: float


def run(command: Sequence[str | Path], environment: dict[str, str]) -> Took:
    """Runs a command, which must succeed.

    Raises:
        RuntimeError: It did not.
    """
    since = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    ended = time.monotonic()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: exit code {process.returncode}:\n{output.decode(errors='replace')}")
    return Took(ended - since, used.ru_utime + used.ru_stime, ended)


class Peer(Protocol):
    """One that deploys.

    Attributes:
        name: What it is called.
    """

    name: str

    def write(self, bundle: Bundle) -> None:
        """Gets ready to deploy a bundle; this is not measured."""

    def deploy(self, bundle: Bundle) -> Took:
        """Deploys it, and waits until it is ready."""


class Ours:
    """``aphiria-deploy pr N``, from a checkout, with the bundle in the cache."""

    name = "aphiria-deploy"

    def __init__(self, kubeconfig: Path, folder: Path, outputs: dict[str, str]) -> None:
        self._kubeconfig = kubeconfig
        self._outputs = folder / "outputs.json"
        self._outputs.touch(mode=0o600)
        self._outputs.write_text(json.dumps(outputs), encoding="utf-8")
        self._environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
        # As it is installed: compiled. The first of each command, which is not measured, compiles it here.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def command(self, bundle: Bundle, *more: str) -> list[str]:
        """The whole command."""
        images = [f"--{name}-image={bundle.images[name].ref}" for name in ("web", "api")]
        cluster = [f"--kubeconfig={self._kubeconfig}", f"--outputs={self._outputs}"]
        number = str(bundle.environment.number)
        return [str(_BIN / "aphiria-deploy"), "pr", number, *images, *cluster, "--skip-health-check", *more]

    def list(self) -> list[str]:
        """The command that lists all environments."""
        return [str(_BIN / "aphiria-deploy"), "list", f"--kubeconfig={self._kubeconfig}"]

    def write(self, bundle: Bundle) -> None:
        """Has the bundle in the cache."""
        run(self.command(bundle, "--plan"), self._environment)

    def deploy(self, bundle: Bundle) -> Took:
        """Deploys it."""
        return run(self.command(bundle), self._environment)

    def run(self, command: Sequence[str]) -> Took:
        """Runs another command of ours."""
        return run(command, self._environment)


class Kubectl:
    """``kubectl apply --server-side`` of the three files in their order, each waited for.

    Args:
        kubeconfig: The cluster.
        folder: Where its files are.
        job_by_job: Whether a Job is applied when the one before it is complete, which is the order that they ask for: a
            file at a time, the migration runs beside the Job that makes its database.
    """

    def __init__(self, kubeconfig: Path, folder: Path, *, job_by_job: bool = False) -> None:
        self.name = f"kubectl, {'Job by Job' if job_by_job else 'file by file'}"
        self._job_by_job = job_by_job
        self._folder = folder / "kubectl"
        found = shutil.which("kubectl", path=f"{_BIN}:{os.environ.get('PATH', '')}")
        assert found, "kubectl is a dependency of the development environment"
        self._kubectl = [found, f"--kubeconfig={kubeconfig}", f"--cache-dir={folder / 'kubectl-cache'}"]
        self._environment = dict(os.environ)

    @property
    def version(self) -> str:
        """Its version."""
        told = subprocess.run([*self._kubectl, "version", "--client", "--output=json"], capture_output=True, check=True)
        return str(msgspec.json.decode(told.stdout)["clientVersion"]["gitVersion"])

    def write(self, bundle: Bundle) -> None:
        """Writes the three files."""
        write([bundle], self._folder)
        for item in _jobs(bundle):
            self._of_job(bundle, item).write_text(to_yaml([item]), encoding="utf-8")

    def apply(self, bundle: Bundle) -> Took:
        """Applies all of it at once, and waits for nothing."""
        files = [f"--filename={file}" for file in self._files(bundle)]
        return run([*self._kubectl, "apply", "--server-side", *files], self._environment)

    def deploy(self, bundle: Bundle) -> Took:
        """Applies file after file, and waits for the Jobs and the Deployments of each."""
        commands: list[list[str]] = []
        for file, manifests in zip(self._files(bundle), (file.manifests for file in bundle.files), strict=True):
            apart = self._job_by_job and any(item["kind"] == "Job" for item in manifests)
            if not apart:
                commands.append(["apply", "--server-side", f"--filename={file}"])
            for item in manifests:
                if apart:
                    commands.append(["apply", "--server-side", f"--filename={self._of_job(bundle, item)}"])
                named = [f"--namespace={item['metadata'].get('namespace', '')}", _WAIT]
                what = f"{item['kind'].lower()}/{item['metadata']['name']}"
                if item["kind"] == "Job":
                    commands.append(["wait", "--for=condition=Complete", what, *named])
                elif item["kind"] == "Deployment":
                    commands.append(["rollout", "status", what, *named])
        took = [run([*self._kubectl, *command], self._environment) for command in commands]
        return Took(sum(one.wall for one in took), sum(one.cpu for one in took), took[-1].ended)

    def _of_job(self, bundle: Bundle, item: Manifest) -> Path:
        return self._folder / bundle.environment.name / f"{item['metadata']['name']}.yaml"

    def _files(self, bundle: Bundle) -> list[Path]:
        return [self._folder / bundle.environment.name / f"{file.name}.k8s.yaml" for file in bundle.files]


def _jobs(bundle: Bundle) -> list[Manifest]:
    return [item for item in bundle.manifests if item["kind"] == "Job"]


class Helm:
    """``helm upgrade --install --wait`` of the same objects as a chart.

    Args:
        helm: The program.
        kubeconfig: The cluster.
        folder: Where its charts are.
        hooks: Whether the Jobs, and what comes before them, are hooks, as charts say that something is to be done
            first: without, the migration and what serves start beside the Job that makes their database.
    """

    def __init__(self, helm: Path, kubeconfig: Path, folder: Path, *, hooks: bool = False) -> None:
        self.name = "helm, Jobs as hooks" if hooks else "helm"
        self._hooks = hooks
        self._helm = [str(helm), f"--kubeconfig={kubeconfig}"]
        self._folder = folder / self.name.replace(",", "").replace(" ", "-")
        self._environment = os.environ | {f"HELM_{name}_HOME": str(folder / "helm-home") for name in _HELM_FOLDERS}

    @property
    def version(self) -> str:
        """Its version."""
        told = subprocess.run([*self._helm, "version", "--template={{.Version}}"], capture_output=True, check=True)
        return told.stdout.decode().strip()

    def write(self, bundle: Bundle) -> None:
        """Writes the chart."""
        chart = self._folder / bundle.environment.name
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        head = {"apiVersion": "v2", "name": bundle.environment.name, "version": "0.1.0"}
        (chart / "Chart.yaml").write_text(json.dumps(head), encoding="utf-8")
        # The release lives in the namespace, which is there before it, and so is none of its objects.
        manifests = _with_hooks(bundle) if self._hooks else bundle.manifests
        objects = [item for item in manifests if item["kind"] != "Namespace"]
        text = to_yaml(objects).replace("{{", '{{ "{{" }}')
        (chart / "templates" / "objects.yaml").write_text(text, encoding="utf-8")

    def deploy(self, bundle: Bundle) -> Took:
        """Installs or upgrades the release."""
        environment = bundle.environment
        command = [*self._helm, "upgrade", "--install", environment.name, str(self._folder / environment.name)]
        wait = ["--wait", "--wait-for-jobs", _WAIT]
        return run([*command, f"--namespace={environment.namespace}", *wait], self._environment)


def _with_hooks(bundle: Bundle) -> list[Manifest]:
    """A bundle's objects, those of each wave up to the last Job as hooks of that weight."""
    ordered = waves(bundle.files)
    last = max(number for number, wave in enumerate(ordered) if any(item["kind"] == "Job" for item in wave.manifests))
    return [
        _as_hook(item, number) if number <= last else item
        for number, wave in enumerate(ordered)
        for item in wave.manifests
    ]


def _as_hook(item: Manifest, weight: int) -> Manifest:
    metadata = item["metadata"]
    hook = {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": str(weight)}
    return item | {"metadata": metadata | {"annotations": {**metadata.get("annotations", {}), **hook}}}


_HELM_FOLDERS = ("CACHE", "CONFIG", "DATA")


def find_helm() -> Path | None:
    """Where helm is: as HELM names it, as the tests have it, or in the PATH."""
    for place in (os.environ.get("HELM"), ROOT / ".cache" / "helm" / "helm", shutil.which("helm")):
        if place and Path(place).is_file():
            return Path(place)
    return None

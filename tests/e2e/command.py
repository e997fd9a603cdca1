"""The command as users run it: its script, in a process of its own, in an empty folder."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aphiria_deploy.bundle import Bundle, encode

SCRIPT = Path(sys.executable).with_name("aphiria-deploy")
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, which must be one JSON document."""
        return json.loads(self.out)


class Commands:
    """Runs the command on a cluster, and remembers what was seen of it.

    Args:
        folder: Where its files are; a folder in it is where the command runs, with nothing in it.
        kubeconfig: The cluster.
        outputs: The stack's outputs.

    Attributes:
        printed: Everything that was printed.
        arguments: The arguments of every process that was there meanwhile.
    """

    def __init__(self, folder: Path, kubeconfig: Path, outputs: Mapping[str, str]) -> None:
        self.folder = folder
        self.printed: list[str] = []
        self.arguments: set[bytes] = set()
        self._empty = folder / "empty"
        self._empty.mkdir()
        self._outputs = folder / "outputs.json"
        self._outputs.write_text(json.dumps(outputs), encoding="utf-8")
        self.named = ("--kubeconfig", str(kubeconfig))
        self.settled = ("--outputs", str(self._outputs))

    def bundle(self, bundle: Bundle, name: str = "bundle.json") -> str:
        """Writes a bundle, and gives its path."""
        path = self.folder / name
        path.write_bytes(encode(bundle))
        return str(path)

    def deploy(self, bundle: Bundle, *more: str, variables: Mapping[str, str] | None = None) -> Ended:
        """Deploys a preview's bundle, and reports in JSON; the site is not asked, since nothing runs."""
        return self.run(*self.deploying(bundle), "--output", "json", *more, variables=variables)

    def deploying(self, bundle: Bundle) -> tuple[str, ...]:
        """The arguments that deploy a preview's bundle."""
        number = str(bundle.environment.number)
        given = ("--bundle", self.bundle(bundle, f"pr-{number}.json"), "--skip-health-check")
        return ("pr", number, *given, *self.named, *self.settled)

    def ask(self, *arguments: str) -> Ended:
        """Runs a command that needs the cluster alone."""
        return self.run(*arguments, *self.named)

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None, folder: Path | None = None) -> Ended:
        """Runs the command to its end."""
        with self.start(*arguments, variables=variables, folder=folder) as process:
            out, err = process.communicate(timeout=180)
        self.printed += [out, err]
        return Ended(process.returncode, out, err)

    @contextlib.contextmanager
    def start(
        self, *arguments: str, variables: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Starts the command; it has ended with the block."""
        process = subprocess.Popen(
            [str(SCRIPT), *arguments],
            cwd=folder or self._empty,
            env=self.environment(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ended = threading.Event()
        looking = threading.Thread(target=self._look, args=(ended,))
        looking.start()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            ended.set()
            looking.join()

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Variables of a user who has nothing set up."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.folder), **variables}

    def _look(self, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_SECONDS):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.arguments.add(path.read_bytes())


def wait_for_line(process: subprocess.Popen[str], word: str, seconds: float = 60) -> list[str]:
    """Reads what is said on stderr until a word is in it, and gives the lines."""
    assert process.stderr
    until, lines = time.monotonic() + seconds, []
    while time.monotonic() < until:
        line = process.stderr.readline()
        lines.append(line)
        if word in line:
            return lines
        assert line, f"it ended without {word!r}: {''.join(lines)}"
    raise AssertionError(f"no {word!r} within {seconds} s: {''.join(lines)}")

"""The job of a workflow that a command runs in: its variables, its outputs and its summary.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aphiria_deploy.errors import InputError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry.login import Login

SUMMARY_BYTES: Final = 1_000_000
"""A little less than the 1 MiB that a step's summary may have."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,60}")


@dataclass(frozen=True)
class Job:
    """A job, by its environment variables; outside of a workflow most are empty, and nothing is written.

    Attributes:
        environ: The variables.
    """

    environ: Mapping[str, str]

    @property
    def run(self) -> int:
        """The number of the workflow's run; 0 outside of one."""
        found = self.environ.get("GITHUB_RUN_ID", "")
        return int(found) if found.isascii() and found.isdigit() else 0

    @property
    def run_url(self) -> str:
        """The page of the workflow's run; empty outside of one."""
        server, repository = (self.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY"))
        return f"{server}/{repository}/actions/runs/{self.run}" if server and repository and self.run else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that nothing that is shown may hold."""
        return tuple(value for name, value in self.environ.items() if _is_secret(name) and len(value) >= 8)

    def registry_login(self) -> Login | None:
        """The login at the registry, with the job's own token."""
        token, actor = (self.environ.get(name, "").strip() for name in ("GITHUB_TOKEN", "GITHUB_ACTOR"))
        return Login(actor or "x-access-token", SecretValue(token)) if token else None

    def give(self, outputs: Mapping[str, str]) -> None:
        """Sets outputs of the step.

        Raises:
            InputError: They cannot be written.
        """
        lines = []
        for name, value in outputs.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an output")
            # A delimiter that nobody could have put into a value.
            end = f"end-{secrets.token_hex(16)}"
            lines += [f"{name}<<{end}", value, end]
        self._append("GITHUB_OUTPUT", "\n".join([*lines, ""]))

    def summarize(self, markdown: str) -> None:
        """Adds to the step's summary.

        Raises:
            InputError: It cannot be written.
        """
        self._append("GITHUB_STEP_SUMMARY", f"{markdown}\n")

    def _append(self, variable: str, text: str) -> None:
        place = self.environ.get(variable)
        if not place:
            return
        try:
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise InputError(
                f"{variable}: {place}: {error.strerror}; expected a file that can be written to"
            ) from error


def _is_secret(name: str) -> bool:
    return name.endswith(("_TOKEN", "_PASSWORD", "_SECRET", "_KEY")) or "SECRET" in name

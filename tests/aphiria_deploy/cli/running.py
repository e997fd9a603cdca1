"""Runs the command in this process, as its script does."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any
from unittest import mock

from aphiria_deploy.cli import main


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


def run(*arguments: str) -> Ended:
    """Runs the command; what it raises is a bug, and gets through."""
    out, err = io.StringIO(), io.StringIO()
    code: int | str | None = None
    with (
        mock.patch.object(sys, "argv", ["aphiria-deploy", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.run()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())

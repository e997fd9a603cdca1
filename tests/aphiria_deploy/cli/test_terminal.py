"""What is shown while something is under way: live on a terminal, a line an event elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

import pytest

from aphiria_deploy.cli.terminal import progress
from aphiria_deploy.objects import GroupKind, ObjectKey

WEB = ObjectKey(GroupKind("apps", "Deployment"), "shop", "web")
PROGRAM = """
import time
from aphiria_deploy.cli.terminal import progress
from aphiria_deploy.objects import GroupKind, ObjectKey
web = ObjectKey(GroupKind("apps", "Deployment"), "shop", "web")
with progress() as shown:
    shown.phase("workloads")
    shown.did(web, "created")
    shown.state(web, "0 of 1 pods", done=False)
    time.sleep(0.4)
    shown.log("api-1/php", "[bold]a line[/bold]")
    shown.note("a note")
    shown.state(web, "1 of 1 pods", done=True)
print("the report")
"""


def on_terminal(variables: dict[str, str]) -> str:
    """What a terminal gets, and beside it what goes to stdout."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **variables},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            seen += data
        assert process.stdout
        assert process.stdout.read() == "the report\n"
    os.close(ours)
    assert process.returncode == 0
    return seen.decode()


def test_elsewhere_it_is_a_line_an_event() -> None:
    stream = io.StringIO()
    with progress(stream) as shown:
        shown.phase("workloads")
        shown.did(WEB, "created")
        shown.state(WEB, "0 of 1 pods", done=False)
        shown.state(WEB, "1 of 1 pods", done=True)
        shown.log("api-1/php", "[bold]a line[/bold]")
        shown.note("a note")
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\[ +[0-9]+\.[0-9]s\] ", line) for line in lines)
    assert [line.partition("s] ")[2] for line in lines] == [
        "workloads …",
        "  Deployment shop/web: created",
        "  Deployment shop/web: 0 of 1 pods",
        "  Deployment shop/web: ready: 1 of 1 pods",
        "  api-1/php | [bold]a line[/bold]",
        "a note",
    ]


def test_a_terminal_shows_what_is_waited_for_and_for_how_long() -> None:
    seen = on_terminal({"TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": "1"})
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert re.search(r" 0s +Deployment shop/web +0 of 1 pods", plain)
    assert "workloads …" in plain
    # What a log says is shown as it is.
    assert "api-1/php | [bold]a line[/bold]" in plain
    assert "Deployment shop/web: 1 of 1 pods" in plain
    # The cursor is given back.
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


@pytest.mark.parametrize("terminal", ["dumb"])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(terminal: str) -> None:
    seen = on_terminal({"TERM": terminal})
    assert "\x1b" not in seen
    assert "  Deployment shop/web: 0 of 1 pods\r\n" in seen

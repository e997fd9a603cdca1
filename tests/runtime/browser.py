"""Headless Chromium: what a page looks like after its scripts have run."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.runtime.needs import binary

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --disable-extensions "
    "--no-proxy-server"
).split()


def dom(url: str, profile: Path) -> str:
    """Loads a page with a fresh profile, and gives its document when it is loaded, modules included.

    Raises:
        RuntimeError: Chromium failed.
    """
    nowhere_else = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    command = [str(binary("chromium")), *_FLAGS, nowhere_else, f"--user-data-dir={profile}", "--dump-dom", url]
    with subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", *command],
        env={"PATH": os.environ["PATH"], "HOME": str(profile)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as chromium:
        try:
            document, errors = chromium.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(chromium.pid, signal.SIGKILL)
            document, errors = chromium.communicate()
    if chromium.returncode:
        raise RuntimeError(f"Chromium ended with {chromium.returncode}:\n{errors}")
    return document

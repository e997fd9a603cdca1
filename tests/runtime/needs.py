"""What these tests need from the machine, and a clear word where it is not there."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

# What is run of each of Debian's packages: not all of it is on everybody's PATH.
_BINARIES = {
    "nginx-light": "/usr/sbin/nginx",
    "php-fpm": "/usr/sbin/php-fpm[0-9]*",
    "wrk": "/usr/bin/wrk",
    "chromium": "/usr/bin/chromium",
    "postgresql": "/usr/lib/postgresql/*/bin/postgres",
    "busybox": "/*bin/busybox",
    "rclone": "/usr/bin/rclone",
}


def binary(package: str) -> Path:
    """Finds what a package of Debian brings, the newest version of it, or skips the test."""
    found = sorted(Path("/").glob(_BINARIES[package].lstrip("/")), key=_version)
    if not found:
        pytest.skip(f"needs Debian's package {package} (apt-get install {package})")
    return found[-1]


def namespaces() -> None:
    """Skips the test where pods cannot have namespaces of their own."""
    if problem := _namespaces_problem():
        pytest.skip(f"needs network, mount and PID namespaces, as root or in a user namespace: {problem}")


@functools.cache
def _namespaces_problem() -> str | None:
    tools = [tool for tool in ("unshare", "nsenter", "setpriv", "mount", "chroot") if not _which(tool)]
    if tools:
        return f"{', '.join(tools)} not found (apt-get install util-linux mount coreutils)"
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    tried = subprocess.run(
        ["unshare", *user, "--net", "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip() or f"unshare ended with {tried.returncode}" if tried.returncode else None


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", str(path))]


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

"""Measures beside peers: ``python -m bench``, or a part of it: ``python -m bench synthesis``, ``deploys``."""

from __future__ import annotations

import os
import platform
import sys

from bench import deploys, synthesis

PARTS = {"synthesis": synthesis.main, "deploys": deploys.main}


def main() -> None:
    """Prints the figures of the parts that are named, or of all."""
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := sorted(set(chosen) - PARTS.keys()):
        sys.exit(f"python -m bench: found {unknown[0]!r}, expected {' or '.join(PARTS)}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in chosen:
        PARTS[name]()


if __name__ == "__main__":
    main()

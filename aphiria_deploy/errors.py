"""What can go wrong, as a tree.

::

    AphiriaDeployError            exit code 1: it failed
    ├── InputError                exit code 2: what was given cannot be used; nothing was changed
    │   ├── bundle.BundleError    a document is not a bundle that this version reads
    │   └── waves.OrderError      objects depend on each other in a way that no order satisfies
    └── releases.ReleaseError     a release cannot be recorded, or what is recorded cannot be read
"""

from __future__ import annotations


class AphiriaDeployError(Exception):
    """An error that is expected: its message says what it is about, what was found, what was expected, what to do.

    Attributes:
        exit_code: What the command ends with.
    """

    exit_code = 1


class InputError(AphiriaDeployError):
    """An option, a file or a name cannot be used."""

    exit_code = 2

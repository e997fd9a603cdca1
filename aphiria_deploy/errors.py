"""What can go wrong, as a tree.

::

    AphiriaDeployError                      exit code 1: it failed
    ├── InputError                          exit code 2: what was given cannot be used; nothing was changed
    │   ├── bundle.BundleError              a document is not a bundle that this version reads
    │   ├── waves.OrderError                objects depend on each other in a way that no order satisfies
    │   ├── ImageNotFoundError              the registry has no such image
    │   └── ImageContentError               what is there is no image that runs, or not of the approved commit
    ├── UnavailableError                    exit code 5: what is needed is not available now; nothing was changed
    │   ├── RegistryUnavailableError        no answer, or one that says to come back later
    │   ├── RegistryAccessError             the registry refuses the login, or asks for one
    │   └── RegistryContentError            the registry's answer is not what it says it is
    ├── releases.ReleaseError               a release cannot be recorded, or what is recorded cannot be read
    ├── secrets.SecretConflictError         a Secret in the cluster cannot become what it has to be
    └── CombinedError                       several of them, told together
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType


class AphiriaDeployError(Exception):
    """An error that is expected: its message says what it is about, what was found, what was expected, what to do.

    Attributes:
        exit_code: What the command ends with.
    """

    exit_code = 1


class InputError(AphiriaDeployError):
    """An option, a file or a name cannot be used."""

    exit_code = 2


class ImageNotFoundError(InputError):
    """The registry answers, and has no such image: not another try helps, but another reference."""


class ImageContentError(InputError):
    """What a reference leads to is no container image, or not the one that was approved."""


class UnavailableError(AphiriaDeployError):
    """The cluster, the registry or a credential is not available: the same command may succeed later."""

    exit_code = 5


class RegistryUnavailableError(UnavailableError):
    """A registry does not answer within the deadline, or answers that it cannot."""


class RegistryAccessError(UnavailableError):
    """A registry refuses the login that it was given, or asks for one and there is none."""


class RegistryContentError(UnavailableError):
    """A registry's answer is not what the digest or the media type says: nothing of it is used."""


class CombinedError(AphiriaDeployError):
    """Several errors that are told together, so that all can be repaired at once.

    Its exit code is 2 where one of them is about the input, because then no later try helps, and otherwise the
    first one's.

    Attributes:
        errors: The errors, none of them combined itself.
    """

    def __init__(self, errors: Sequence[AphiriaDeployError]) -> None:
        self.errors = tuple(errors)
        codes = [error.exit_code for error in self.errors]
        self.exit_code = InputError.exit_code if InputError.exit_code in codes else codes[0]
        super().__init__("\n".join(map(str, self.errors)))


class Errors:
    """Collects errors of steps that do not depend on each other.

    ::

        errors = Errors()
        with errors.collected():
            outputs = …
        with errors.collected():
            images = …
        errors.raise_all()
    """

    def __init__(self) -> None:
        self._errors: list[AphiriaDeployError] = []

    def add(self, error: AphiriaDeployError) -> None:
        """Adds an error; of a combined one its parts. What was told already is not told again."""
        told = set(map(str, self._errors))
        parts = error.errors if isinstance(error, CombinedError) else (error,)
        self._errors += [part for part in parts if str(part) not in told]

    def collected(self) -> AbstractContextManager[None, bool]:
        """Keeps an expected error of the block instead of raising it."""
        return _Collecting(self)

    def raise_all(self) -> None:
        """Raises what was collected.

        Raises:
            AphiriaDeployError: The only one.
            CombinedError: All of them.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise CombinedError(self._errors)


class _Collecting(AbstractContextManager[None, bool]):
    def __init__(self, errors: Errors) -> None:
        self._errors = errors

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(error, AphiriaDeployError):
            self._errors.add(error)
            return True
        return False

"""What can go wrong, as a tree.

::

    AphiriaDeployError                      exit code 1: it failed
    ├── InputError                          exit code 2: what was given cannot be used; nothing was changed
    │   ├── bundle.BundleError              a document is not a bundle that this version reads
    │   ├── waves.OrderError                objects depend on each other in a way that no order satisfies
    │   ├── KubeconfigError                 no usable kubeconfig, or no such context in it
    │   ├── marker.WrongClusterError        this is not the cluster that was meant
    │   ├── prerequisites.MissingPrerequisitesError  the cluster lacks what a site needs
    │   ├── stacks.StackSettingsError       a stack's configuration cannot be used
    │   ├── stacks.UnknownStackError        there is no such stack, or no such program
    │   ├── ImageNotFoundError              the registry has no such image
    │   ├── ImageContentError               what is there is no image that runs, or not of the approved commit
    │   ├── github.PolicyError              a preview's bundle holds what a preview may not hold
    │   ├── github.ApprovalError            it is not what was approved, or nobody may approve it
    │   └── github.PromotionError           what ran in a preview cannot be brought to production
    ├── UnavailableError                    exit code 5: what is needed is not available now
    │   ├── ClusterUnavailableError         the cluster's API server does not answer, or is overloaded
    │   │   └── OutcomeUnknownError         a write was cut: it may have happened
    │   ├── CredentialError                 a credential cannot be had, or the cluster does not take it
    │   ├── RegistryUnavailableError        no answer, or one that says to come back later
    │   ├── RegistryAccessError             the registry refuses the login, or asks for one
    │   ├── RegistryContentError            the registry's answer is not what it says it is
    │   ├── stacks.NoPulumiError            Pulumi is not on this machine
    │   ├── stacks.NotLoggedInError         Pulumi, or the provider, asks for a login
    │   ├── stacks.StackLockedError         another run works on the stack, or has left its lock
    │   ├── github.GitHubUnavailableError   GitHub does not answer in time, or asks to be left alone for longer
    │   │   └── GitHubOutcomeUnknownError   a write was cut: it may have happened
    │   ├── github.GitHubAccessError        GitHub does not take the token, or it may not do it
    │   ├── github.GitHubContentError       GitHub's answer is not what its API is described to give
    │   └── github.DoubtError               what is known is not enough to destroy anything by
    ├── joining.AddressChangesError         the Gateway's address does not stay
    ├── stacks.StackFailedError             the program or a provider refused; what was done stays
    ├── releases.ReleaseError               a release cannot be recorded, or what is recorded cannot be read
    ├── secrets.SecretConflictError         a Secret in the cluster cannot become what it has to be
    ├── access.AccessError                  the account of a preview cannot be had
    ├── lease.LockedError                   exit code 4: somebody else works on the environment
    ├── lease.LeaseLostError                the environment is somebody else's now: nothing more is written
    ├── deploying.NotApprovedError          the plan was shown, and not agreed to
    ├── refusals.PlanError                  the cluster refuses what is planned, or it would touch what is not ours
    ├── waiting.NotReadyError               an object is doomed, or did not become ready in time
    ├── backups.BackupError                 a Job is complete, but its log does not say what it has done
    ├── backup_listing.NoBackupError        there is no complete backup, or the newest is too old
    ├── helm_records.HelmRecordError        a record of Helm's cannot be read
    ├── destroying.DestroyError             what is to be destroyed is not ours, or does not go
    ├── deleting.NotGoneError               something is still there after its deletion
    ├── verify.VerificationError            the running site does not answer as it has to
    ├── verifying.WrongImageError           pods run something else than what was planned
    ├── verifying.NoAddressError            the Gateway has no address that could be asked
    ├── DeadlineExceededError               something took longer than it was given
    ├── CancelledError                      it was told to stop
    ├── UnknownKindError                    the cluster does not serve this kind
    ├── ApiError                            the API server refused a request
    │   ├── BadRequestError                 400: malformed, or refused by strict field validation
    │   ├── ForbiddenError                  403: not allowed, or refused by admission or a quota
    │   ├── NotFoundError                   404
    │   ├── AlreadyExistsError              409 of a create
    │   ├── ConflictError                   409: other managers' fields, or a precondition that does not hold
    │   ├── GoneError                       410: the resource version is too old
    │   ├── InvalidError                    422: a value is not valid, or a field is immutable
    │   └── ServerError                     500: the API server failed, or a webhook that it asks
    ├── github.GitHubRefusedError           GitHub refused a request
    │   ├── GitHubNotFoundError             404, 410
    │   ├── GitHubConflictError             409
    │   └── GitHubInvalidError              422
    ├── github.EngineError                  the deploy engine ended without its report
    ├── github.PushError                    an image could not be pushed
    └── CombinedError                       several of them, told together
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
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


class KubeconfigError(InputError):
    """There is no kubeconfig, it cannot be read, or it has no such context."""


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


class ClusterUnavailableError(UnavailableError):
    """The cluster's API server does not answer as one.

    Attributes:
        may_have_acted: The request may have reached the server and been done.
        retry_after: After how many seconds the server asked to be asked again.
        transient: The same request may succeed later.
    """

    def __init__(
        self,
        message: str,
        *,
        may_have_acted: bool = False,
        retry_after: float | None = None,
        transient: bool = True,
    ) -> None:
        super().__init__(message)
        self.may_have_acted = may_have_acted
        self.retry_after = retry_after
        self.transient = transient


class OutcomeUnknownError(ClusterUnavailableError):
    """A write that must not be repeated blindly got no answer: whether it happened is to be read back."""


class CredentialError(UnavailableError):
    """A credential cannot be had, or the cluster does not take it."""


class DeadlineExceededError(AphiriaDeployError):
    """Something took longer than it was given; the message says what it was waiting for."""


class CancelledError(AphiriaDeployError):
    """It was told to stop, by a signal or by a failure elsewhere."""


class UnknownKindError(AphiriaDeployError):
    """The cluster does not serve this kind in this version."""


@dataclass(frozen=True)
class Cause:
    """One of the API server's reasons.

    Attributes:
        field: The path of the field, as the server writes it; empty where it names none.
        reason: A CamelCase word.
        message: For people.
    """

    field: str
    reason: str
    message: str


@dataclass(frozen=True)
class FieldConflict:
    """A field that another manager owns.

    Attributes:
        field: Its path, as the server writes it: ``.spec.replicas``.
        manager: Who owns it.
    """

    field: str
    manager: str


class ApiError(AphiriaDeployError):
    """The API server refused a request.

    Attributes:
        status: The HTTP status.
        reason: The server's CamelCase reason (``Forbidden``); may be empty.
        causes: Its reasons in detail; may be empty.
        retry_after: After how many seconds the server asked to be asked again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason: str = "",
        causes: Sequence[Cause] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
        self.retry_after = retry_after


class BadRequestError(ApiError):
    """The request is malformed, or strict field validation refused it (an unknown or a duplicate field)."""


class ForbiddenError(ApiError):
    """The account may not do it, or admission refused it: a quota, Pod Security, a policy, a dying namespace."""


class NotFoundError(ApiError):
    """There is no such object."""


class AlreadyExistsError(ApiError):
    """There is already an object of that name."""


class ConflictError(ApiError):
    """What is there is not what the request builds on.

    Attributes:
        conflicts: The fields that other managers own, of a server-side apply; empty where a precondition (a UID, a
            resource version) did not hold.
        transient: The same request may succeed later: another writer was faster.
        quota: It was a quota's count that another writer changed, not the object.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 409,
        reason: str = "Conflict",
        causes: Sequence[Cause] = (),
        retry_after: float | None = None,
        conflicts: Sequence[FieldConflict] = (),
        transient: bool = False,
        quota: bool = False,
    ) -> None:
        super().__init__(message, status=status, reason=reason, causes=causes, retry_after=retry_after)
        self.conflicts = tuple(conflicts)
        self.transient = transient
        self.quota = quota


class GoneError(ApiError):
    """The resource version, or the rest of a list, is no longer kept: it is to be listed anew."""


class InvalidError(ApiError):
    """A value is not valid, or a field is immutable: the causes name the fields."""

    @property
    def immutable_fields(self) -> list[str]:
        """The fields that cannot be changed in place."""
        return [cause.field for cause in self.causes if "immutable" in cause.message]


class ServerError(ApiError):
    """The API server failed, or a webhook or an extension that it asks.

    Attributes:
        may_have_acted: It may have been done all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 500,
        reason: str = "InternalError",
        causes: Sequence[Cause] = (),
        retry_after: float | None = None,
        may_have_acted: bool = True,
    ) -> None:
        super().__init__(message, status=status, reason=reason, causes=causes, retry_after=retry_after)
        self.may_have_acted = may_have_acted

"""What can go wrong between a pull request and a deploy; the tree is in ``aphiria_deploy.errors``."""

from __future__ import annotations

from collections.abc import Sequence

from aphiria_deploy.errors import AphiriaDeployError, InputError, UnavailableError


class GitHubUnavailableError(UnavailableError):
    """GitHub does not answer in time, fails, or asks to be left alone for longer than there is time."""


class GitHubOutcomeUnknownError(GitHubUnavailableError):
    """A write that must not be repeated blindly got no answer: whether it happened is to be read back."""


class GitHubAccessError(UnavailableError):
    """GitHub does not take the token (401), or the token may not do it (403).

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class GitHubContentError(UnavailableError):
    """GitHub's answer is not what its API is described to give: nothing of it is used."""


class GitHubRefusedError(AphiriaDeployError):
    """GitHub refused a request.

    Attributes:
        status: The HTTP status.
        codes: The codes of what is wrong with single fields (``already_exists``); may be empty.
    """

    def __init__(self, message: str, *, status: int, codes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = tuple(codes)


class GitHubNotFoundError(GitHubRefusedError):
    """404 or 410: there is no such thing, or the token may not know of it."""


class GitHubConflictError(GitHubRefusedError):
    """409: what is there is not what the request builds on."""


class GitHubInvalidError(GitHubRefusedError):
    """422: a value is not valid, or it is there already."""


class PolicyError(InputError):
    """A preview's bundle holds what a preview may not hold."""


class ApprovalError(InputError):
    """What would be deployed is not what was approved, or nobody may approve it."""


class PromotionError(InputError):
    """What ran in the preview cannot be brought to production."""


class DoubtError(UnavailableError):
    """What is known is not enough to destroy anything by: nothing was destroyed."""

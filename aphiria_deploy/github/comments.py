"""The one comment of a pull request: written once, edited from then on.

It is found by its marker and its author: a marker that somebody else wrote is theirs. Two runs may write at once, and
a person may delete it in between; in the end there is one, and it says what was written last.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from aphiria_deploy.github.errors import GitHubNotFoundError, GitHubOutcomeUnknownError, GitHubUnavailableError
from aphiria_deploy.github.models import Comment

ROUNDS: Final = 4
"""How often it is looked for anew, when others write and delete at the same time."""


class Comments(Protocol):
    """What GitHub has to be able to do."""

    def login(self) -> str:
        """The account that comments are written by."""

    def comments(self, number: int) -> list[Comment]:
        """All comments, the oldest first."""

    def create_comment(self, number: int, body: str) -> Comment:
        """Writes one."""

    def edit_comment(self, comment: int, body: str) -> Comment:
        """Replaces the text of one."""

    def delete_comment(self, comment: int) -> bool:
        """Deletes one."""


def own_comments(comments: Sequence[Comment], marker: str, author: str) -> list[Comment]:
    """Gives the comments that begin with the marker and are the author's, the oldest first."""
    found = [
        one
        for one in comments
        if one.user is not None
        and one.user.login.casefold() == author.casefold()
        and one.body.lstrip("\ufeff").startswith(marker)
    ]
    # Of those of one second the smaller number is the older, whoever asks.
    return sorted(found, key=lambda one: (one.created_at, one.id))


def upsert(github: Comments, number: int, marker: str, body: str) -> Comment:
    """Makes the comment say a text; there is one of it afterwards.

    Args:
        github: GitHub.
        number: The pull request.
        marker: What the text begins with, and the comment is found by.
        body: The text.

    Raises:
        ValueError: The text does not begin with the marker, so it would never be found again.
        GitHubUnavailableError: Others delete it faster than it is written.
        AphiriaDeployError: Another of GitHub's.
    """
    if not body.startswith(marker):
        raise ValueError(f"a comment begins with its marker {marker}")
    author = github.login()
    for _ in range(ROUNDS):
        found = own_comments(github.comments(number), marker, author)
        if not found:
            # Without an answer it may be there all the same, and another run may have written one at the same moment:
            # the next look says so. Both see both, and keep the same one.
            with suppress(GitHubOutcomeUnknownError):
                github.create_comment(number, body)
            continue
        kept, *others = found
        try:
            written = kept if kept.body == body else github.edit_comment(kept.id, body)
        except GitHubNotFoundError:
            # Deleted since it was found.
            continue
        for other in others:
            github.delete_comment(other.id)
        return written
    raise GitHubUnavailableError(
        f"pull request {number}: found its comment gone each time it was written, expected it to stay: "
        "somebody else deletes it; try again later"
    )

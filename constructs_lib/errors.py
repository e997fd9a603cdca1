"""What the construct library raises."""

from __future__ import annotations

from collections.abc import Iterable


class InvalidValueError(ValueError):
    """A value is not what its type stands for.

    The message names what was found and what is expected; whoever reads the value from a file or an option puts the
    path in front of it.
    """

    def __init__(self, what: str, found: object, expected: str) -> None:
        super().__init__(f"{what}: found {found!r}, expected {expected}")


class InvalidPropsError(ValueError):
    """The props of a construct contradict each other or miss something.

    Attributes:
        problems: One line for each problem, each starting with the path of the prop.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

"""Markdown of texts that nobody has vetted: what comes from a pull request is shown, never obeyed.

Everything here is pure. Texts go into code, where GitHub neither mentions anybody nor loads anything, or are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from aphiria_deploy.diagnosis.redaction import redact
from aphiria_deploy.fields import one_line

LIMIT: Final = 65_536
"""The largest comment that GitHub takes, in characters. Bytes are counted here: never fewer than characters."""

_LONGEST_LINE: Final = 500
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|<>~@$&-])")


def code(text: str) -> str:
    """A text as code within a line, whatever backticks it has."""
    line = one_line(text) or " "
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def escaped(text: str) -> str:
    """A text as plain words: nothing in it is a link, a mention, HTML or markup."""
    return _SPECIAL.sub(r"\\\1", _inert(one_line(text)))


def link(text: str, url: str) -> str:
    """A link to a page at HTTPS; of anything else the address, as code."""
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/?=&%#:+,-]*)?", url):
        return code(url)
    return f"[{escaped(text)}]({url})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of cells that are Markdown already; a bar in one does not end it."""
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return lines


@dataclass(frozen=True)
class Section:
    """A part of a comment.

    Attributes:
        title: What to call it; what has one is collapsed.
        lines: Its lines.
        language: Of a block of code; none where the lines are Markdown.
        whole: How many lines there were before it was cut.
        is_open: Whether it is shown at once all the same.
    """

    title: str
    lines: tuple[str, ...]
    language: str | None = None
    whole: int = 0
    is_open: bool = False

    def render(self, more: str) -> str:
        """Writes it; what was cut is said.

        Args:
            more: Where the rest is, as Markdown.
        """
        cut = self.whole - len(self.lines) if self.whole else 0
        body = self._fenced() if self.language is not None else "\n".join(self.lines)
        parts = [body] if self.lines else []
        if cut:
            parts.append(f"_{cut} more lines are not shown here_{f': {more}' if more else ''}.")
        text = "\n\n".join(parts)
        if not self.title:
            return text
        opened = " open" if self.is_open else ""
        return f"<details{opened}><summary>{_html(self.title)}</summary>\n\n{text}\n\n</details>"

    def _fenced(self) -> str:
        fence = "`" * max(3, _longest_run("\n".join(self.lines)) + 1)
        return "\n".join((f"{fence}{self.language}", *self.lines, fence))

    def shorter(self) -> Section:
        """The same with half of the lines."""
        return replace(self, lines=self.lines[: len(self.lines) // 2], whole=self.whole or len(self.lines))


def block(title: str, lines: Iterable[str], language: str = "", *, is_open: bool = False) -> Section:
    """A collapsed block of code, of lines as they come."""
    return Section(title, tuple(_plain(line) for line in lines), language, is_open=is_open)


@dataclass(frozen=True)
class Document:
    """A comment, before it is cut to GitHub's limit.

    Attributes:
        marker: What it is found by, as its first line.
        head: What is never cut.
        sections: What may be, the longest first.
        secrets: Values that must not be shown.
    """

    marker: str
    head: tuple[str, ...]
    sections: tuple[Section, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def render(self, more: str = "", limit: int = LIMIT) -> str:
        """Writes the comment, in at most so many bytes; secrets are masked before anything is cut.

        Args:
            more: Where the whole is, as Markdown.
            limit: The most bytes.
        """
        sections = [self._redacted(section) for section in self.sections]
        while len((text := self._joined(sections, more)).encode()) > limit:
            longest = max(range(len(sections)), key=lambda index: _size(sections[index]), default=None)
            if longest is None or not sections[longest].lines:
                # The head alone is short, unless somebody made it long: it is cut where it may be.
                return text.encode()[:limit].decode(errors="ignore")
            sections[longest] = sections[longest].shorter()
        return text

    def _redacted(self, section: Section) -> Section:
        # Over all lines at once: a private key has several.
        lines = redact("\n".join(section.lines), self.secrets).split("\n") if section.lines else []
        return replace(section, lines=tuple(lines))

    def _joined(self, sections: Sequence[Section], more: str) -> str:
        head = redact("\n".join(self.head), self.secrets)
        return "\n\n".join((self.marker, head, *(section.render(more) for section in sections))) + "\n"


def _size(section: Section) -> int:
    return sum(len(line) + 1 for line in section.lines)


def _plain(line: str) -> str:
    kept = "".join(character if character.isprintable() or character == "\t" else " " for character in line)
    return kept if len(kept) <= _LONGEST_LINE else f"{kept[:_LONGEST_LINE]}…"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def _inert(text: str) -> str:
    """Keeps GitHub from making mentions and links of words, which it does after all markup is read."""
    return re.sub(r"(?i)(@|#|:(?=//)|\bwww(?=\.)|\bgh(?=-))", "\\1\u200b", text)


def _html(text: str) -> str:
    return _inert(one_line(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Keeping secrets out of what is shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4
"""A value shorter than this is no secret, and masking it would make a text unreadable."""
_SHORTEST_LINE = 16
"""Lines of a secret of several lines, as a key has, are masked one by one from this length on."""

_WORD = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"
_VALUE = (
    r"(?:\"(?:[^\"\\\r\n]|\\.){1,4000}\"?"  # quoted: up to the quote, or to the end of a line that was cut
    r"|'(?:[^'\\\r\n]|\\.){1,4000}'?"
    r"|[^\s\"',;&)}\]]{1,4000})"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # The whole of a private key, or what of it a cut log still has.
        (
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----END )[\s\S]){0,20000}"
            r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
            f"(private key {MASK})",
        ),
        # scheme://user:password@host: the last @ before the path ends the password.
        (r"(\b[A-Z][A-Z0-9+.-]{0,30}://)[^\s/?#\"'<>]{1,1000}@", rf"\1{MASK}@"),
        (
            rf"(\b(?:proxy-)?authorization[\"']?\s{{0,5}}[:=]\s{{0,5}}+[\"']?+)(?!{re.escape(MASK)})[^\r\n\"',}}]+",
            rf"\1{MASK}",
        ),
        (rf"(\b(?:set-)?cookie[\"']?\s{{0,5}}:\s{{0,5}}+)(?!{re.escape(MASK)})[^\r\n]+", rf"\1{MASK}"),
        (r"(\b(?:bearer|basic)\s{1,5})[A-Z0-9+/=_.~-]{8,}", rf"\1{MASK}"),
        # password=…, "db_password": "…", PGPASSWORD=…, 'token' => '…', --token …
        (rf"({_WORD}[A-Z0-9_]{{0,20}}[\"']?\s{{0,3}}(?:=>|[:=])\s{{0,3}}){_VALUE}", rf"\1{MASK}"),
        (rf"(--?{_WORD}\s{{1,3}})(?!-){_VALUE}", rf"\1{MASK}"),
        (rf"(\"auth\"\s{{0,3}}:\s{{0,3}}){_VALUE}", rf"\1{MASK}"),
        (r"SCRAM-SHA-256\$[0-9]{1,10}:[A-Z0-9+/=$:]{8,}", f"SCRAM-SHA-256${MASK}"),
        # Tokens that tell by their form: of JWT, GitHub, DigitalOcean, Pulumi.
        (r"\beyJ[A-Z0-9_-]{8,}\.[A-Z0-9_-]{2,}(?:\.[A-Z0-9_-]*)?", MASK),
        (r"\b(?:gh[oprsu]_[A-Z0-9]{16,}|github_pat_[A-Z0-9_]{16,})", MASK),
        (r"\b(?:do[oprt]_v1_|pul-)[0-9a-f]{16,}", MASK),
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Masks secrets in a text.

    Known values go first, as they are and as they are usually written elsewhere: in base64, in a URL, in JSON, line
    by line. Then what looks like a credential: passwords in URLs, Authorization headers, ``password=…``, private
    keys, tokens of well-known forms. What is masked is masked a second time to the same.

    Args:
        text: The text, of any number of lines.
        secrets: The values. Those of fewer than 4 characters are not looked for.
    """
    needles = frozenset(form for value in secrets for form in _forms(value))
    text = _mask_all(text, needles)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    # Once more: a mask and what stands beside it may happen to be a value.
    return _mask_all(text, needles)


def _mask_all(text: str, needles: frozenset[str]) -> str:
    # Each round makes the text shorter, so it ends.
    while (masked := _mask(text, needles)) != text:
        text = masked
    return text


def _forms(value: str) -> Iterator[str]:
    lines = value.splitlines()
    long_lines = [line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE] if len(lines) > 1 else []
    for part in (value, value.strip(), *long_lines):
        if len(part) < _SHORTEST:
            continue
        raw = part.encode("utf-8", "surrogatepass")
        yield part
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        yield quote(raw, safe="")
        yield quote_plus(raw)
        yield part.encode("unicode_escape").decode()
        yield part.replace("\\", "\\\\").replace('"', '\\"')


def _mask(text: str, needles: frozenset[str]) -> str:
    """Masks every place of every needle once; places that overlap become one mask, so that no part is left over."""
    places = sorted((start, start + len(needle)) for needle in needles for start in _starts(text, needle))
    if not places:
        return text
    parts, end = [], 0
    for start, stop in places:
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _starts(text: str, needle: str) -> Iterator[int]:
    start = text.find(needle)
    while start >= 0:
        yield start
        start = text.find(needle, start + 1)

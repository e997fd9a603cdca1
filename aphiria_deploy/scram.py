"""SCRAM-SHA-256 verifiers of passwords, as PostgreSQL keeps them.

A verifier (RFC 5803, section 2) lets a server check a password without knowing it. PostgreSQL takes one in place of a
password: https://www.postgresql.org/docs/16/sql-createrole.html.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Callable

ITERATIONS = 4096
"""PostgreSQL's own number, and the least that RFC 7677 allows."""
SALT_BYTES = 16
"""PostgreSQL's own number."""

# Nobody's server has more; a forged verifier must not keep the machine busy for hours.
_MAX_ITERATIONS = 1_000_000
_FORM = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9][0-9]{0,9}):(?P<salt>[A-Za-z0-9+/=]+)"
    r"\$(?P<stored>[A-Za-z0-9+/=]{44}):(?P<server>[A-Za-z0-9+/=]{44})"
)
# RFC 4013, section 2.3, beside the unassigned code points of table A.1.
_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def verifier(password: str, *, salt: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Gives ``SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>`` with a fresh salt.

    Raises:
        ValueError: The password is empty or has a NUL character: PostgreSQL accepts neither.
    """
    if not password or "\0" in password:
        raise ValueError("the password is empty or has a NUL character")
    return _verifier(password, salt(SALT_BYTES), ITERATIONS)


def verifies(text: str, password: str) -> bool:
    """Whether a verifier is well-formed and is this password's."""
    match = _FORM.fullmatch(text)
    if match is None or not password or int(match["iterations"]) > _MAX_ITERATIONS:
        return False
    try:
        salt = base64.b64decode(match["salt"], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(text.encode(), _verifier(password, salt, int(match["iterations"])).encode())


def is_verifier(text: str) -> bool:
    """Whether a text has the form of a verifier."""
    return _FORM.fullmatch(text) is not None


def saslprep(password: str) -> str | None:
    """Prepares a password as RFC 4013 has it; None where the RFC prohibits it.

    As in PostgreSQL, what is prohibited is looked for before the normalization.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    if not mapped or any(prohibits(character) for character in mapped for prohibits in _PROHIBITED):
        return None
    # RFC 3454, section 6: text that runs from right to left begins and ends so, and has no other in it.
    if any(map(stringprep.in_table_d1, mapped)) and (
        any(map(stringprep.in_table_d2, mapped))
        or not (stringprep.in_table_d1(mapped[0]) and stringprep.in_table_d1(mapped[-1]))
    ):
        return None
    return unicodedata.normalize("NFKC", mapped)


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    # What the RFC prohibits, PostgreSQL and libpq take as it is.
    prepared = (saslprep(password) or password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""No secret in what is shown: neither a known value, nor what looks like a credential."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aphiria_deploy.diagnosis import Diagnosis, LogSource, Occurrence, redact, with_logs

_SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=40).filter(
    lambda value: len(value.strip()) >= 4
)
_WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda value: value,
    "in base64": lambda value: base64.b64encode(value.encode()).decode(),
    "in URL-safe base64": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "in a URL": lambda value: quote(value, safe=""),
    "in a query": quote_plus,
    "in JSON": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
}


@pytest.mark.parametrize("write", _WRITTEN.values(), ids=_WRITTEN.keys())
@given(value=_SECRETS, before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_known_value_is_masked_however_it_is_written(
    write: Callable[[str], str], value: str, before: str, after: str
) -> None:
    written = write(value)
    assert written not in redact(f"{before}{written}{after}", [value])


@given(st.lists(_SECRETS, min_size=1, max_size=4), st.data())
def test_values_that_overlap_leave_nothing_of_each_other(values: list[str], data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(values) | st.text(max_size=5), max_size=8)))
    masked = redact(text, values)
    assert not any(value in masked for value in values)


@given(st.text(max_size=200), st.lists(_SECRETS, max_size=3))
@example("password=***abcd", ["***a"])
def test_what_is_masked_is_masked_to_the_same_again(text: str, values: list[str]) -> None:
    once = redact(text, values)
    assert redact(once, values) == once


_PIECES = st.sampled_from(
    "password= token: https:// user:pw@host Authorization: Bearer Basic abcdefgh12 \" ' , ; \n -----BEGIN "
    "PRIVATE KEY----- -----END eyJhbGciOi .eyJzdWIi. SCRAM-SHA-256$4096: *** --token set-cookie: secret".split(" ")
)


@given(st.lists(_PIECES, max_size=12))
def test_shapes_are_masked_to_the_same_again(pieces: list[str]) -> None:
    once = redact(" ".join(pieces))
    assert redact(once) == once


@given(st.lists(st.sampled_from("the pod api failed with exit code 1 at 10.0.0.12:5432 in /app/index.php(12)".split())))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    assert redact(" ".join(words)) == " ".join(words)


_KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJk5oA==\n-----END EC PRIVATE KEY-----"
_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("dsn pgsql://aphiria:hunter2@db:5432/aphiria refused", "hunter2"),
        ("dsn pgsql://aphiria:hun@ter2@db:5432/aphiria refused", "ter2"),
        ("cloning https://ghp-user:x@github.com/a/b", "ghp-user"),
        ("redis://:hunter2@cache", "hunter2"),
        ("> Authorization: Bearer abc.def-ghi\n< HTTP/2 401", "abc.def-ghi"),
        ("curl -H 'authorization: token hunter2'", "hunter2"),
        ('{"Authorization": "Basic aHVudGVyMjpodW50ZXIy"}', "aHVudGVyMjpodW50ZXIy"),
        ("Proxy-Authorization: Digest username=hunter2", "hunter2"),
        ("sent Bearer hunter2hunter2 to the server", "hunter2hunter2"),
        ("PGPASSWORD=hunter2 psql", "hunter2"),
        ("connecting with user=api password=hunter2 host=db", "hunter2"),
        ("DB_PASSWORD: hunter2", "hunter2"),
        ('{"db_password": "hun\\"ter2", "port": 5432}', "ter2"),
        ("'secret' => 'hunter2',", "hunter2"),
        ("password='hunter2 and more", "and more"),
        ("--password hunter2 --verbose", "hunter2"),
        ("--token=hunter2", "hunter2"),
        ("DO_ACCESS_KEY_ID=hunter2", "hunter2"),
        ("X-Api-Key: hunter2", "hunter2"),
        ("Set-Cookie: session=hunter2; Secure", "hunter2"),
        ('{"auths":{"ghcr.io":{"auth":"aHVudGVyMg=="}}}', "aHVudGVyMg"),
        ("verifier SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy", "c3RvcmVk"),
        (f"key:\n{_KEY}\nnext", "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJk5oA"),
        (f"cut:\n{_KEY[:60]}", "MHcCAQEEIBkg4LVWM9nuwNSk3"),
        (f"jwt {_JWT} expired", _JWT),
        ("using ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghij"),
        ("github_pat_11ABCDEFG0abcdefghijkl_mnop used", "11ABCDEFG0abc"),
        ("dop_v1_0123456789abcdef0123456789abcdef refused", "0123456789abcdef"),
        ("pul-0123456789abcdef0123456789abcdef01234567", "0123456789abcdef"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("pgsql://u:p@db:5432/aphiria refused", "@db:5432/aphiria refused"),
        ("password=x; host=db", "; host=db"),
        ('{"password": "x", "port": 5432}', '"port": 5432}'),
        (f"before\n{_KEY}\nafter", "\nafter"),
        ("Authorization: Bearer x\nHTTP/2 401", "\nHTTP/2 401"),
        ('password authentication failed for user "api"', 'password authentication failed for user "api"'),
        ("https://ghcr.io/v2/a@sha256:ab", "https://ghcr.io/v2/a@sha256:ab"),
        ("unexpected token ';' in line 3", "unexpected token ';' in line 3"),
        ("basic.php failed", "basic.php failed"),
    ],
)
def test_what_is_no_credential_stays(text: str, kept: str) -> None:
    assert kept in redact(text)


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    key = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUabcdefgh\nshort\n-----END CERTIFICATE-----\n"
    assert "MIIBszCC" not in redact("read: MIIBszCCAVmgAwIBAgIUabcdefgh", [key])
    assert redact("in short", [key]) == "in short"


def test_a_value_too_short_to_be_a_secret_masks_nothing() -> None:
    assert redact("a cat sat", ["a", "", "cat"]) == "a cat sat"


@pytest.mark.parametrize(
    "piece",
    ["password=", "a://", "-----BEGIN PRIVATE KEY-----", "Authorization: ", "token", "eyJaaaaaaaaa.", '"\\', "basic "],
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.perf_counter()
    redact(piece * (200_000 // len(piece)), ["hunter2hunter2"])
    assert time.perf_counter() - begun < 5


def test_a_diagnosis_with_logs_has_nothing_secret_in_any_text() -> None:
    source = LogSource("preview-pr-107", "api-1", "api", previous=True)
    event = Occurrence("Warning", "Failed", "Pod/api-1", "hunter2hunter2 was refused", 1, None, None)
    found = Diagnosis(
        "Deployment",
        "preview-pr-107/api",
        "Error",
        "exit hunter2hunter2",
        "ask hunter2hunter2",
        True,
        (event,),
        (source,),
    )
    lines = "\n".join([*(f"line {number}" for number in range(40)), "password is hunter2hunter2", "\x1b[31mred"])
    told = with_logs(found, {source: lines}, ["hunter2hunter2"])
    assert "hunter2hunter2" not in repr(told)
    assert len(told.logs[0].lines) == 20
    assert told.logs[0].lines[-2:] == ("password is ***", "[31mred")
    assert told.doomed

import base64
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy import scram
from tests.runtime import postgres

PASSWORDS = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text)

# What PostgreSQL and libpq prepare, normalize, or take as it is because the RFC prohibits it.
ODD_PASSWORDS = {
    "plain": "k3y-_~",
    "spaces": " a b ",
    "no-break space": "a\u00a0b",
    "soft hyphen": "I\u00adX",
    "compatibility": "\u2168",
    "composed": "e\u0301",
    "feminine ordinal": "\u00aa",
    "control": "a\u0007b",
    "only mapped to nothing": "\u00ad\u200d",
    "right to left": "\u0627\u0628",
    "right to left and digits": "\u06271",
    "both directions": "\u0627a\u0628",
    "unassigned in Unicode 3.2": "a\U0001f512\u00aa",
    "deprecated, but normalized away": "a\u0340\u00aa",
    "private use": "\ue000\u00aa",
    "long": "é" * 300,
    "quotes": "'; DROP ROLE x; -- \\ \" $1",
}


def test_a_verifier_has_postgresqls_form_and_its_numbers() -> None:
    text = scram.verifier("secret")
    head, _, keys = text.rpartition("$")
    assert head.startswith("SCRAM-SHA-256$4096:")
    assert len(base64.b64decode(head.rpartition(":")[2])) == 16
    assert [len(base64.b64decode(key)) for key in keys.split(":")] == [32, 32]


def test_the_keys_are_those_of_the_rfcs_own_example() -> None:
    # RFC 7677, section 3: user "user", password "pencil", with the messages of the exchange there.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    text = scram.verifier("pencil", salt=lambda _: salt)
    assert text == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@given(PASSWORDS)
def test_a_verifier_verifies_its_password_and_has_a_salt_of_its_own(password: str) -> None:
    text = scram.verifier(password)
    assert scram.verifies(text, password)
    assert text != scram.verifier(password)


@given(PASSWORDS, PASSWORDS)
def test_it_verifies_no_other(password: str, other: str) -> None:
    same = (scram.saslprep(password) or password) == (scram.saslprep(other) or other)
    assert scram.verifies(scram.verifier(password), other) is same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5abcdef",
        "SCRAM-SHA-256$0:YQ==$" + "A" * 44 + ":" + "A" * 44,
        # Ten billion rounds would take an hour.
        "SCRAM-SHA-256$9999999999:YQ==$" + "A" * 44 + ":" + "A" * 44,
        "SCRAM-SHA-256$4096:Y$" + "A" * 44 + ":" + "A" * 44,
        scram.verifier("secret") + "\n",
        scram.verifier("secret")[:-1],
    ],
    # Their salts are random, and every worker must collect the same tests.
    ids=["empty", "md5", "no rounds", "ten billion rounds", "a short salt", "a line break", "cut off"],
)
def test_what_is_no_verifier_verifies_nothing(text: str) -> None:
    assert not scram.verifies(text, "secret")


@given(st.text(max_size=200))
def test_no_text_is_too_odd_to_be_refused(text: str) -> None:
    assert not scram.verifies(text, "secret")
    assert not scram.is_verifier(text)


@pytest.mark.parametrize("password", ["", "a\0b"])
def test_what_postgresql_cannot_take_has_no_verifier(password: str) -> None:
    with pytest.raises(ValueError, match="empty or has a NUL"):
        scram.verifier(password)


# RFC 4013, section 3.
@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", None),
        ("\u06271", None),
    ],
)
def test_passwords_are_prepared_as_the_rfcs_examples(password: str, prepared: str | None) -> None:
    assert scram.saslprep(password) == prepared


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        yield running


@pytest.mark.parametrize("case", ODD_PASSWORDS)
def test_a_role_with_the_verifier_logs_in_with_the_password(case: str, server: postgres.Server) -> None:
    password, role = ODD_PASSWORDS[case], f"role_{list(ODD_PASSWORDS).index(case)}"
    server.query(f"CREATE ROLE {role} LOGIN PASSWORD '{scram.verifier(password)}'")
    # Taken as a verifier, not as a password to be hashed.
    stored = server.query(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")
    assert scram.verifies(stored, password)
    assert server.query("SELECT current_user", user=role, password=password) == role
    with pytest.raises(PermissionError, match="password authentication failed"):
        server.query("SELECT 1", user=role, password=password + "x")


@pytest.mark.parametrize("case", [case for case in ODD_PASSWORDS if case != "quotes"])
def test_postgresqls_own_verifiers_are_understood(case: str, server: postgres.Server) -> None:
    password, role = ODD_PASSWORDS[case], f"own_{list(ODD_PASSWORDS).index(case)}"
    server.query(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    stored = server.query(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")
    assert scram.verifies(stored, password)
    assert not scram.verifies(stored, password + "x")

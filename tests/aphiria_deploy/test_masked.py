import copy
import json
import logging
import pickle
from dataclasses import dataclass

import msgspec
import pytest

from aphiria_deploy.masked import SecretValue

VALUE = "correct horse battery staple"


@dataclass(frozen=True)
class Holder:
    secret: SecretValue


def test_nothing_that_shows_a_value_shows_a_secret_one(caplog: pytest.LogCaptureFixture) -> None:
    secret = SecretValue(VALUE)
    logging.getLogger("test").warning("%s %r %s", secret, secret, [secret])
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>40}",
        "%s" % secret,  # noqa: UP031
        "{:s}".format(secret),  # noqa: UP032
        repr([secret, {"a": secret}, Holder(secret)]),
        caplog.text,
        str(ValueError(secret)),
        repr(ValueError(secret)),
    ]
    assert not [text for text in shown if VALUE in text or "horse" in text]
    assert secret.reveal() == VALUE


def test_a_secret_does_not_leave_by_an_encoder() -> None:
    secret = SecretValue(VALUE)
    for encode in (json.dumps, msgspec.json.encode, pickle.dumps, vars):
        with pytest.raises(TypeError) as raised:
            encode(secret)
        assert VALUE not in str(raised.value)


def test_secrets_are_equal_by_value_and_copies_are_themselves() -> None:
    secret = SecretValue(VALUE)
    assert secret == SecretValue(VALUE)
    assert hash(secret) == hash(SecretValue(VALUE))
    assert secret != SecretValue("another")
    assert secret != VALUE
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


@pytest.mark.parametrize("value", ["", "a\udcff"])
def test_what_is_no_text_is_no_secret(value: str) -> None:
    with pytest.raises(ValueError, match="a secret value is"):
        SecretValue(value)

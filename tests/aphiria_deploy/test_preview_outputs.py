"""What previews are deployed with, as secrets of a CI and back."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from aphiria_deploy.cli import issuing
from aphiria_deploy.cluster_access import access_of
from aphiria_deploy.errors import InputError
from aphiria_deploy.issuing import ends
from aphiria_deploy.kube import load_document
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.preview_outputs import FOR_PREVIEWS, ISSUER, PLAIN, PULLER, put_together, taken_apart
from aphiria_deploy.settle import settle_inputs


def token(seconds: float | None) -> str:
    claims = (
        {"sub": "x"} if seconds is None else {"exp": int((datetime.now(UTC) + timedelta(seconds=seconds)).timestamp())}
    )
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in ({}, claims, {}))


def kubeconfig(**user: str) -> str:
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return yaml.safe_dump(data)


def outputs(secret: str = "the-token") -> dict[str, Any]:
    plain = {name: f"some-{name}" for name in FOR_PREVIEWS} | {"postgresqlPort": 5432, "ghcrToken": "the-pull-token"}
    return {**plain, "kubeconfig": kubeconfig(token=secret)}


def variables(secret: str = "the-token") -> dict[str, str]:
    return {name: value.reveal() for name, value in taken_apart(outputs(secret), "stack").items()}


def test_what_was_taken_apart_is_put_together() -> None:
    found = variables()
    again = put_together(found)

    assert yaml.safe_load(again.pop("kubeconfig")) == yaml.safe_load(outputs()["kubeconfig"])
    assert again == {name: value for name, value in outputs().items() if name != "kubeconfig"}
    assert (found[ISSUER], found[PULLER]) == ("the-token", "the-pull-token")
    assert not re.search("the-(pull-)?token", found[PLAIN])
    settle_inputs([], put_together(found), {}, required=["kubeconfig"])


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"token": ""},
        {"client-certificate-data": "eA==", "client-key-data": "eA=="},
        {"token": "x", "client-certificate-data": "eA=="},
        {"tokenFile": "/x"},
    ],
)
def test_only_a_token_can_be_kept(user: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"stack: kubeconfig: users.*expected a token alone"):
        taken_apart({**outputs(), "kubeconfig": kubeconfig(**user)}, "stack")


@pytest.mark.parametrize("text", ["", "[]", "users: []", "users: [1]", "a: [", "users: [{name: a}, {name: b}]"])
def test_what_is_no_kubeconfig_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"stack: kubeconfig: .*expected"):
        taken_apart({**outputs(), "kubeconfig": text}, "stack")


@pytest.mark.parametrize("name", [PLAIN, ISSUER, PULLER])
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_what_is_missing_is_said_with_what_sets_it(name: str, value: str | None) -> None:
    # GitHub gives an empty text for a secret that is not there.
    given = {**variables(), name: value or ""}
    if value is None:
        del given[name]

    with pytest.raises(InputError, match=f"environment variable {name}: found none.*github setup --issuer-token"):
        put_together(given)


def change(**changes: Any) -> str:
    return json.dumps(json.loads(variables()[PLAIN]) | changes)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ("no-json-the-secret", "found no JSON"),
        ("[]", "found no outputs, expected exactly"),
        ("{}", "found no outputs, expected exactly"),
        (change(clusterId="x"), "found clusterEndpoint, clusterId, .*what deploys previews has nothing else"),
        (change(postgresqlAdminPassword="x"), "postgresqlAdminPassword.*has nothing else"),
        (change(kubeconfig="text"), "kubeconfig: users: found none"),
        (change(kubeconfig=yaml.safe_load(kubeconfig(token="y"))), "found a credential, expected none"),
    ],
)
def test_what_holds_something_else_is_refused_and_not_shown(plain: str, message: str) -> None:
    with pytest.raises(InputError, match=f"environment variable {PLAIN}: .*{message}|{message}") as caught:
        put_together({**variables(), PLAIN: plain})
    assert "the-secret" not in str(caught.value)


def test_what_they_lead_to_is_not_called_an_administrators() -> None:
    """Nor is another credential fetched, though there is a token: without the cluster's ID nothing leads there."""
    found = access_of(put_together(variables()), "outputs.json", {"DIGITALOCEAN_TOKEN": "x"})

    assert found.url == "https://127.0.0.1:1"
    assert "kubeconfig in outputs.json" in found.where
    assert "7 days" not in found.where
    assert load_document(put_together(variables())["kubeconfig"], "x").context == "x"


@pytest.mark.parametrize("text", ["", "x", "a.b", "a.!.c", token(None)])
def test_a_token_that_says_of_no_end_is_believed(text: str) -> None:
    assert ends(SecretValue(text or " ")) is None


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    return tmp_path


def given(monkeypatch: pytest.MonkeyPatch, seconds: float | None) -> None:
    for name, value in variables(token(seconds)).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("days", "asked"), [(90, False), (14.1, False), (13.9, True), (None, False)])
def test_its_renewal_is_asked_for_before_it_ends(
    days: float | None, asked: bool, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, None if days is None else days * 86_400)
    said = issuing.write_outputs(job / "outputs.json")

    assert ("it says of no end" if days is None else "it ends 20") in said
    assert (job / "summary").exists() == asked
    assert not asked or "renew it before: `aphiria-deploy github setup --issuer-token" in (job / "summary").read_text()
    assert (job / "outputs.json").stat().st_mode & 0o777 == 0o600


def test_what_has_ended_is_said_and_nothing_is_written(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, -60)

    with pytest.raises(InputError, match=r"PREVIEW_ISSUER_TOKEN.*found one that ended 20.*github setup"):
        issuing.write_outputs(job / "outputs.json")
    assert not (job / "outputs.json").exists()

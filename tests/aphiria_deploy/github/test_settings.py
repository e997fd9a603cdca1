"""Setting a repository up: what it lacks is shown, made once, and the rest is told to a person."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import pytest
from nacl.public import PrivateKey, SealedBox

from aphiria_deploy.errors import InputError
from aphiria_deploy.github import settings
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.errors import GitHubAccessError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.preview_outputs import VARIABLES
from tests.aphiria_deploy.github.stand_in import StandIn

PRIVATE = PrivateKey.generate()
NOTHING: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _administrator(stand_in: StandIn) -> None:
    stand_in.may_administer = True
    stand_in.key = base64.b64encode(bytes(PRIVATE.public_key)).decode()


PREVIEWS = {name: SecretValue(f"value-of-{name}") for name in VARIABLES}


def plan(
    github: GitHub, reviewers: Sequence[str] = ("max", "@aphiria/core"), *, issues: bool = False, **environ: str
) -> settings.Plan:
    return settings.plan(github, reviewers, "main", environ, issues=issues)


def test_a_plan_changes_nothing(stand_in: StandIn, github: GitHub) -> None:
    planned = plan(github, PULUMI_ACCESS_TOKEN="pul-secret")

    assert {asked.method for asked in stand_in.requests} == {"GET"}
    assert planned.steps == [
        "environment preview: create it, let main alone deploy to it",
        "environment preview-reviewed: create it, add its reviewers, let main alone deploy to it",
        "environment production: create it, let main alone deploy to it",
        "label keep: create it",
        "label drift: create it",
        "secret PULUMI_ACCESS_TOKEN of production: set it",
    ]


def test_what_is_missing_is_made_and_the_same_again_does_nothing(stand_in: StandIn, github: GitHub) -> None:
    settings.apply(github, plan(github, PULUMI_ACCESS_TOKEN="pul-secret"))

    assert stand_in.rules == {name: ["main"] for name in ("preview", "preview-reviewed", "production")}
    assert stand_in.environments["preview"]["protection_rules"] == []
    (rule,) = stand_in.environments["preview-reviewed"]["protection_rules"]
    assert [one["type"] for one in rule["reviewers"]] == ["User", "Team"]
    assert rule["prevent_self_review"] is True
    assert [one["name"] for one in stand_in.labels] == ["keep", "drift"]
    assert plan(github, PULUMI_ACCESS_TOKEN="pul-secret").steps == []


def test_a_secret_is_encrypted_for_github_and_shown_to_nobody(stand_in: StandIn, github: GitHub) -> None:
    planned = plan(github, PULUMI_ACCESS_TOKEN="pul-secret")
    settings.apply(github, planned)

    given = stand_in.secrets["production"]["PULUMI_ACCESS_TOKEN"]
    assert given["key_id"] == "key-of-production"
    assert SealedBox(PRIVATE).decrypt(base64.b64decode(given["encrypted_value"])) == b"pul-secret"
    shown = settings.as_text(planned, []) + settings.as_json(planned, []) + repr(planned)
    assert "pul-secret" not in shown
    assert "pul-secret" not in str(stand_in.requests)


def test_a_secret_that_is_there_stays(stand_in: StandIn, github: GitHub) -> None:
    settings.apply(github, plan(github))
    stand_in.secrets["production"] = {"PULUMI_ACCESS_TOKEN": {}}

    assert plan(github, PULUMI_ACCESS_TOKEN="x" * 9).secrets == ()
    both = plan(github, DIGITALOCEAN_TOKEN="y" * 9, PULUMI_ACCESS_TOKEN="x" * 9).secrets
    assert both == (("production", "DIGITALOCEAN_TOKEN"),)
    assert plan(github).secrets == ()


def test_what_leads_to_an_administrator_is_productions_alone(stand_in: StandIn, github: GitHub) -> None:
    given = {"DIGITALOCEAN_TOKEN": "y" * 9, "PULUMI_ACCESS_TOKEN": "x" * 9}
    settings.apply(github, plan(github, issues=True, **given), PREVIEWS)

    assert {place: set(found) for place, found in stand_in.secrets.items()} == {
        "preview": set(VARIABLES),
        "production": set(given),
    }
    # What an earlier version put there is named, and left to a person.
    stand_in.secrets["preview"]["DIGITALOCEAN_TOKEN"] = {}
    (line,) = [one for one in plan(github).by_hand if "gh secret delete" in one]
    assert line.endswith("it leads to an administrator: gh secret delete DIGITALOCEAN_TOKEN --env preview")
    assert "DIGITALOCEAN_TOKEN" in stand_in.secrets["preview"]


def test_what_previews_are_deployed_with_is_made_where_it_is_asked_for(stand_in: StandIn, github: GitHub) -> None:
    planned = plan(github)
    assert not planned.issues
    assert any(
        "preview: found no PREVIEW_OUTPUTS, PREVIEW_ISSUER_TOKEN, PREVIEW_PULL_TOKEN" in one for one in planned.by_hand
    )

    planned = plan(github, issues=True)
    assert planned.issues
    assert [one for one in planned.steps if "secret" in one] == [
        f"secret {name} of preview: set it" for name in VARIABLES
    ]
    assert not any("PREVIEW_OUTPUTS" in one for one in planned.by_hand)
    settings.apply(github, planned, PREVIEWS)
    for name in VARIABLES:
        given = stand_in.secrets["preview"][name]
        assert SealedBox(PRIVATE).decrypt(base64.b64decode(given["encrypted_value"])).decode() == f"value-of-{name}"

    # It is there: nothing is asked for; and it is renewed by asking for it again.
    assert (plan(github).steps, plan(github).issues) == ([], False)
    assert not any("PREVIEW_OUTPUTS" in one for one in plan(github).by_hand)
    assert plan(github, issues=True).secrets == planned.secrets


def test_reviewers_that_are_there_stay_and_others_come(stand_in: StandIn, github: GitHub) -> None:
    settings.apply(github, plan(github, ["max"]))
    settings.apply(github, plan(github, ["ann"]))

    (rule,) = stand_in.environments["preview-reviewed"]["protection_rules"]
    assert len(rule["reviewers"]) == 2
    assert plan(github, []).steps == []


def test_productions_reviewers_stay(stand_in: StandIn, github: GitHub) -> None:
    github.put_environment(
        "production", reviewers=[{"type": "User", "id": 9}], custom_branches=False, prevent_self_review=False
    )
    settings.apply(github, plan(github))

    (rule,) = stand_in.environments["production"]["protection_rules"]
    assert rule["reviewers"] == [{"type": "User", "reviewer": {"id": 9}}]


def test_the_environment_without_reviewers_loses_them(stand_in: StandIn, github: GitHub) -> None:
    settings.apply(github, plan(github))
    github.put_environment(
        "preview", reviewers=[{"type": "User", "id": 9}], custom_branches=True, prevent_self_review=False
    )

    assert plan(github).steps == ["environment preview: remove its reviewers"]
    settings.apply(github, plan(github))
    assert stand_in.environments["preview"]["protection_rules"] == []


def test_other_branches_do_not_deploy(stand_in: StandIn, github: GitHub) -> None:
    settings.apply(github, plan(github))
    stand_in.rules["preview"].append("release/*")

    # They are shown to a person, who may want them.
    assert any("preview: release/*" in line for line in plan(github).by_hand)


def test_without_reviewers_a_person_has_to_name_some(github: GitHub) -> None:
    assert "--reviewer" in plan(github, []).by_hand[0]
    assert "--reviewer" not in plan(github).by_hand[0]


def test_it_is_told_for_people_and_for_programs(github: GitHub) -> None:
    planned = plan(github)

    assert settings.as_text(planned, []).startswith("to do, with --yes:\n  environment preview: create it")
    assert settings.as_text(planned, planned.steps).startswith("done:")
    data = json.loads(settings.as_json(planned, []))
    assert data["missing"] == planned.steps
    assert any("protect main" in line for line in data["byHand"])


def test_a_reviewer_that_is_none_is_said(github: GitHub) -> None:
    for name in ("", "@"):
        with pytest.raises(InputError, match="expected a user, or @team"):
            plan(github, [name])


def test_a_token_that_may_not_administer_is_told_so(stand_in: StandIn, github: GitHub) -> None:
    stand_in.may_administer = False

    with pytest.raises(GitHubAccessError, match="expected leave"):
        settings.apply(github, plan(github))

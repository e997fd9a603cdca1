"""Every preview is the same but for its number, and what changes a Job's name is what it runs."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from aphiria_deploy.bundle import Bundle, encode
from apps import site
from tests.apps.made import DIGEST, bundle

# What is computed of content in which the number stands.
_COMPUTED = re.compile(
    r"(?<=/db-init-pr-107-|\"db-init-pr-107-|\"db-drop-pr-107-)[0-9a-f]{10}|(?<=db-migration-)[0-9a-f]{10}"
    r'|(?<="checksum/config": ")[0-9a-f]{64}|(?<="hash": "sha256:)[0-9a-f]{64}'
)


def _masked(made: Bundle, number: int) -> str:
    pattern = _COMPUTED.pattern.replace("107", str(number))
    return re.sub(pattern, "…", encode(made).decode())


@pytest.mark.parametrize("number", [1, 8, 108, 999_999_999])
def test_two_previews_differ_where_the_number_stands_and_nowhere_else(number: int) -> None:
    sample, other = (_masked(bundle(f"pr-{at}"), at) for at in (107, number))
    assert sample.count("…") >= 8

    # What stands between the digests of images, which may have a 107 of their own.
    parts = re.split(r"([0-9a-f]{64})", sample)
    expected = "".join(part if place % 2 else part.replace("107", str(number)) for place, part in enumerate(parts))
    assert other == expected


@pytest.mark.parametrize("number", [1, 107, 999_999_999])
def test_the_number_is_in_every_name_that_a_preview_has_outside_of_its_namespace(number: int) -> None:
    made = bundle(f"pr-{number}")

    assert made.environment.namespace == f"preview-pr-{number}"
    assert made.outputs["databaseName"] == f"aphiria_pr_{number}"
    assert made.urls == {"web": f"https://{number}.pr.aphiria.com", "api": f"https://{number}.pr-api.aphiria.com"}
    outside = [item["metadata"] for item in made.manifests if item["metadata"].get("namespace") == "default"]
    assert [metadata["name"].rpartition("-")[0] for metadata in outside] == [f"db-init-pr-{number}"]


def jobs(environment: str, images: dict[str, str] | None = None) -> dict[str, str]:
    """The names of an environment's Jobs, by what they are a part of."""
    made = site.bundle(environment, images or {}).manifests
    return {item["metadata"]["labels"]["app"]: item["metadata"]["name"] for item in made if item["kind"] == "Job"}


API = f"ghcr.io/aphiria/aphiria.com-api@{DIGEST}"
OTHER_API = API.replace("0123", "3210")
WEB = f"ghcr.io/aphiria/aphiria.com-web@{DIGEST}"
POSTGRESQL = f"docker.io/library/postgres:16@{DIGEST}"


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"api": API}, {"api": API}, set()),
        ({"api": API}, {"api": API, "web": WEB}, set()),
        ({"api": API}, {"api": API, "nginx": f"docker.io/library/nginx@{DIGEST}"}, set()),
        ({"api": API}, {"api": OTHER_API}, {"db-migration"}),
        ({"api": API}, {"api": API, "postgresql": POSTGRESQL}, {"db-init", "db-migration"}),
    ],
)
def test_a_job_runs_again_when_what_it_runs_changed(
    before: dict[str, str], after: dict[str, str], changed: set[str]
) -> None:
    old, new = jobs("pr-107", before), jobs("pr-107", after)

    assert {app for app in old if old[app] != new[app]} == changed


def test_the_largest_number_leaves_a_jobs_name_within_a_label() -> None:
    names = [*jobs("pr-999999999").values(), *_dropping("pr-999999999")]

    assert len(names) == 3
    assert max(map(len, names)) <= 63
    assert all(re.search(r"-[0-9a-f]{10}$", name) for name in names)


def _dropping(environment: str) -> list[str]:
    destruction = bundle(environment).destruction
    assert destruction
    return [job["metadata"]["name"] for job in destruction.jobs]


def test_previews_share_no_name_outside_of_their_namespaces() -> None:
    def shared(number: int) -> set[Any]:
        made = bundle(f"pr-{number}")
        destruction = made.destruction
        assert destruction
        secrets = {secret.name for secret in made.secrets if secret.namespace == "default"}
        databases = {gone.name for gone in destruction.absent}
        return secrets | databases | set(_dropping(f"pr-{number}")) | {made.environment.namespace}

    assert shared(1).isdisjoint(shared(11))
    assert shared(1).isdisjoint(shared(107))


def test_what_one_was_asked_does_not_stay_with_the_next() -> None:
    before = encode(bundle("pr-8"))

    site.bundle("pr-8", {"api": API})
    site.bundle("production", {"api": API})

    assert encode(site.bundle("pr-8", {})) == before
    assert msgspec.json.decode(before)["environment"]["number"] == 8

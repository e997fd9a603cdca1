"""What the account of a preview consists of; that it is made and what it may do is tried on a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aphiria_deploy import access
from aphiria_deploy.access import AccessError, objects
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Access, Client, Deadline
from aphiria_deploy.kube.credentials import Fixed
from constructs_lib import preview_access, preview_policies


def _template(**data: str) -> dict[str, Any]:
    return {"data": {"format": access.FORMAT, **data}}


def test_the_number_is_put_in_wherever_it_belongs() -> None:
    written = [{"kind": "X", "metadata": {"name": "pr-${number}", "labels": {"${number}": "a ${number}"}}}]
    assert objects(_template(objects=json.dumps(written)), 107) == [
        {"kind": "X", "metadata": {"name": "pr-107", "labels": {"107": "a 107"}}}
    ]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ({}, "data.format: found None, expected 'aphiria-deploy/account/v1'"),
        (
            {"data": {"format": "aphiria-deploy/account/v2"}},
            "data.format: found 'aphiria-deploy/account/v2'.*or a newer one",
        ),
        (_template(), "data.objects: found 'objects', expected objects: deploy preview-base"),
        (_template(objects="["), "data.objects: found .*, expected objects"),
    ],
)
def test_what_this_version_does_not_read_is_refused(template: dict[str, Any], problem: str) -> None:
    with pytest.raises(AccessError, match=f"ConfigMap aphiria-deploy-previews/account: {problem}"):
        objects(template, 107)


@pytest.mark.parametrize(
    "environment", ["production", "pr-", "pr-0", "pr-007", "pr-1234567890", "pr-1/../x", "preview-pr-1"]
)
def test_nothing_but_a_preview_has_an_account(environment: str) -> None:
    nowhere = Client(Access("nowhere", "http", "localhost", 1, Fixed()))
    for ask in (access.preview_access, access.revoke, access.destruction_jobs):
        with pytest.raises(InputError, match="expected pr-N: previews alone have accounts"):
            ask(nowhere, environment, Deadline.after(1, "the test"))


def test_both_sides_call_it_the_same() -> None:
    """The construct and the engine do not know each other, and must agree."""
    assert access.NAMESPACE == preview_policies.ACCOUNTS
    assert access.TEMPLATE.name == preview_access.TEMPLATE
    assert (access.FORMAT, access.PLACEHOLDER) == (preview_access.TEMPLATE_FORMAT, preview_access.PLACEHOLDER)

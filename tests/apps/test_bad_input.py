"""What is not an environment or an image is refused, in a message that says what was found and what was expected."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import site
from apps.environments import values_of
from constructs_lib.errors import InvalidValueError
from tests.apps.made import DIGEST

NO_ENVIRONMENTS = [
    "",
    " ",
    "pr",
    "pr-",
    "pr-0",
    "pr--1",
    "pr-01",
    "pr-1e3",
    "pr-1.0",
    "pr-0x1",
    "pr-+1",
    "pr-1 ",
    " pr-1",
    "pr- 1",
    "pr-1\n",
    "pr-1234567890",
    "pr-٣",
    "pr-\uff11",
    "pr-1²",
    "PR-1",
    "pr-1/../production",
    "pr-1; rm -rf /",
    "pr-$(id)",
    "pr-1'--",
    "pr-1\x00",
    "pr_1",
    "preview-pr-1",
    "preview",
    "base",
    "Production",
    "production ",
    "prod",
    "localhost",
    "*",
]


@pytest.mark.parametrize("environment", NO_ENVIRONMENTS)
def test_what_is_no_environment_is_refused(environment: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        site.bundle(environment, {})

    assert str(error.value) == (
        f"environment: found {environment!r}, expected local, preview-base, production, or pr-N with N from 1 to "
        "999999999"
    )


@given(st.text(st.sampled_from("0123456789٣-+e "), max_size=12) | st.integers().map(str))
def test_a_preview_has_a_positive_number_of_at_most_nine_digits(text: str) -> None:
    is_one = text.isascii() and text.isdecimal() and text[0] != "0" and len(text) < 10
    try:
        found = values_of(f"pr-{text}").number
    except InvalidValueError:
        found = None
    assert found == (int(text) if is_one else None)


@pytest.mark.parametrize(
    ("environment", "images", "message"),
    [
        ("pr-107", {"wbe": "x"}, "images: found 'wbe', expected one of api, nginx, postgresql, rclone, web"),
        ("local", {"": "x"}, "images: found '', expected one of api, nginx, postgresql, rclone, web"),
        (
            "pr-107",
            {"web": "ghcr.io/aphiria/aphiria.com-web@sha256:0123456789ab"},
            "images: web: found 'ghcr.io/aphiria/aphiria.com-web@sha256:0123456789ab', expected "
            "[registry/]repository[:tag][@sha256:<64 hex digits>], such as ghcr.io/example/site-web@sha256:0123… with "
            "all 64 digits",
        ),
        (
            "production",
            {"api": "ghcr.io/aphiria/aphiria.com-api:v1"},
            "images: api: found 'ghcr.io/aphiria/aphiria.com-api:v1', expected a reference with its digest, @sha256: "
            "and 64 hex digits",
        ),
        (
            "pr-107",
            {"nginx": "nginx:1.29"},
            "images: nginx: found 'nginx:1.29', expected a reference with its digest, @sha256: and 64 hex digits",
        ),
        (
            "preview-base",
            {"postgresql": "postgres:latest"},
            "images: postgresql: found 'postgres:latest', expected a reference with its digest, @sha256: and 64 hex "
            "digits",
        ),
        ("local", {"web": "Web"}, "images: web: found 'Web', expected [registry/]repository"),
        ("local", {"api": "api; rm"}, "images: api: found 'api; rm', expected [registry/]repository"),
        ("local", {"api": f"api@{DIGEST[:-1]}"}, f"images: api: found 'api@{DIGEST[:-1]}', expected"),
        ("local", {"web": ""}, "images: web: found '', expected [registry/]repository"),
    ],
)
def test_what_is_no_image_is_refused(environment: str, images: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match="^" + re.escape(message)):
        site.bundle(environment, images)


@pytest.mark.parametrize(
    ("environment", "image"),
    [
        ("local", "web:mine"),
        ("local", "web"),
        ("local", "localhost:5000/web:mine"),
        ("local", f"web@{DIGEST}"),
        ("pr-107", f"ghcr.io/aphiria/aphiria.com-web@{DIGEST}"),
        ("pr-107", f"ghcr.io/aphiria/aphiria.com-web:pr-107@{DIGEST}"),
        ("production", f"elsewhere.example/web@{DIGEST}"),
    ],
)
def test_what_may_run_there_is_taken(environment: str, image: str) -> None:
    made = site.bundle(environment, {"web": image})

    assert (made.images["web"].ref, made.images["web"].sample) == (image, False)


def test_an_image_that_an_environment_does_not_run_is_not_among_its_own() -> None:
    assert set(site.bundle("preview-base", {}).images) == {"postgresql"}
    assert set(site.bundle("pr-107", {}).images) == {"web", "api", "nginx", "postgresql"}
    assert set(site.bundle("production", {}).images) == {"web", "api", "nginx", "postgresql", "rclone"}


@pytest.mark.parametrize(
    ("environment", "samples"),
    [("local", []), ("preview-base", []), ("pr-107", ["api", "web"]), ("production", ["api", "web"])],
)
def test_what_nobody_chose_is_known_to_be_a_sample(environment: str, samples: list[str]) -> None:
    assert site.bundle(environment, {}).sample_images == samples

"""References to images, as https://github.com/distribution/reference has them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.errors import InvalidValueError
from constructs_lib.values import ImageRef
from tests.constructs_lib.acceptance import accepts

DIGEST = "sha256:" + "0123456789abcdef" * 4
WORDS = st.text(st.sampled_from(string.ascii_lowercase + string.digits), min_size=1, max_size=8)
PATHS = st.lists(
    st.builds("{}{}{}".format, WORDS, st.sampled_from([".", "_", "__", "-", "---"]), WORDS) | WORDS,
    min_size=1,
    max_size=4,
)
REGISTRIES = st.sampled_from(["ghcr.io", "localhost", "localhost:5000", "registry:443", "docker.io", "10.0.0.1:5000"])
TAGS = st.text(st.sampled_from(string.ascii_letters + string.digits + "_.-"), min_size=1, max_size=128).filter(
    lambda tag: tag[0] not in ".-"
)
HEX = st.text(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64)


@given(st.none() | REGISTRIES, PATHS, st.none() | TAGS, st.none() | HEX)
def test_a_reference_is_read_into_its_parts_and_written_as_it_was(
    registry: str | None, path: list[str], tag: str | None, digits: str | None
) -> None:
    # Without a registry the first part must not look like one.
    if registry is None and (len(path) > 1 and "." in path[0]):
        path[0] = path[0].replace(".", "-")
    repository = "/".join(path)
    text = "".join(
        [
            f"{registry}/" if registry else "",
            repository,
            f":{tag}" if tag else "",
            f"@sha256:{digits}" if digits else "",
        ]
    )

    image = ImageRef.parse(text)

    assert str(image) == text
    assert (image.registry, image.repository, image.tag) == (registry, repository, tag)
    assert image.digest == (digits and f"sha256:{digits}")


@given(st.text(st.sampled_from("abzAZ019._-:/@[]% \n"), max_size=40) | st.text())
def test_any_other_text_is_refused_with_a_message_or_read_as_it_is(text: str) -> None:
    accepts(ImageRef.parse, text)


@given(HEX, st.integers(0, 63))
def test_a_digest_that_was_cut_is_none(digits: str, length: int) -> None:
    assert not accepts(ImageRef.parse, f"ghcr.io/example/web@sha256:{digits[:length]}")


@pytest.mark.parametrize(
    ("text", "registry", "repository"),
    [
        ("nginx", None, "nginx"),
        ("library/nginx", None, "library/nginx"),
        ("localhost/web", "localhost", "web"),
        ("example.com/web", "example.com", "web"),
        ("example:5000/web", "example:5000", "web"),
        ("aphiria.com-web", None, "aphiria.com-web"),
        ("aphiria.com-web:latest", None, "aphiria.com-web"),
        ("Registry.example/web", "Registry.example", "web"),
    ],
)
def test_the_first_part_is_a_registry_where_it_cannot_be_a_path(
    text: str, registry: str | None, repository: str
) -> None:
    image = ImageRef.parse(text)

    assert (image.registry, image.repository) == (registry, repository)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/web",
        "web/",
        "a//b",
        "Web",
        "ghcr.io/Example/web",
        "web:",
        "web:-tag",
        f"web:{'t' * 129}",
        "web@",
        "web@sha256:",
        f"web@{DIGEST[:-1]}",
        f"web@{DIGEST}0",
        f"web@{DIGEST.upper()}",
        f"web@{DIGEST[:-1]}g",
        f"web@sha512:{'0' * 128}",
        f"web@{DIGEST}@{DIGEST}",
        f"web@{DIGEST}:tag",
        "web tag",
        "web\n",
        "a..b",
        "a___b",
        "-a",
        "https://ghcr.io/example/web",
        "ghcr.io:port/web",
        "-ghcr.io/web",
        "a" * 256,
        f"ghcr.io/{'a/' * 260}b",
        "$(IMAGE)",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    assert not accepts(ImageRef.parse, text)


def test_the_message_shows_a_reference_as_it_should_be() -> None:
    with pytest.raises(InvalidValueError) as error:
        ImageRef.parse("web@sha256:0123456789ab")

    assert str(error.value) == (
        "image: found 'web@sha256:0123456789ab', expected [registry/]repository[:tag][@sha256:<64 hex digits>], "
        "such as ghcr.io/example/site-web@sha256:0123… with all 64 digits"
    )


@pytest.mark.parametrize(
    ("registry", "repository", "tag", "digest"),
    [
        (None, "", None, None),
        (None, "WEB", None, None),
        (None, "ghcr.io/web", None, None),
        (None, "localhost/web", None, None),
        ("ghcr", "web", None, None),
        ("", "web", None, None),
        ("ghcr.io", "web", "", None),
        ("ghcr.io", "web", "a tag", None),
        ("ghcr.io", "web", None, "sha256:0123456789ab"),
        ("ghcr.io", "web", None, ""),
    ],
)
def test_no_reference_comes_into_being_that_does_not_read_back_as_itself(
    registry: str | None, repository: str, tag: str | None, digest: str | None
) -> None:
    with pytest.raises(InvalidValueError, match="image: found"):
        ImageRef(registry, repository, tag, digest)

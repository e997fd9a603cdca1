import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.errors import InputError
from aphiria_deploy.registry import Reference, digest_of_image_id
from aphiria_deploy.registry.challenge import Challenge, parse_challenges
from aphiria_deploy.registry.reference import is_loopback
from constructs_lib.errors import InvalidValueError
from constructs_lib.values import ImageRef

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("ref", "full", "api"),
    [
        ("nginx", "docker.io/library/nginx", "https://registry-1.docker.io/v2/library/nginx"),
        ("nginx:1.29", "docker.io/library/nginx:1.29", "https://registry-1.docker.io/v2/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx", "https://registry-1.docker.io/v2/library/nginx"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx", "https://registry-1.docker.io/v2/library/nginx"),
        ("rclone/rclone:1", "docker.io/rclone/rclone:1", "https://registry-1.docker.io/v2/rclone/rclone"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1", "https://ghcr.io/v2/a/b"),
        (f"ghcr.io/a/b:1@{DIGEST}", f"ghcr.io/a/b:1@{DIGEST}", "https://ghcr.io/v2/a/b"),
        ("localhost/a", "localhost/a", "http://localhost/v2/a"),
        ("localhost:5000/a:b", "localhost:5000/a:b", "http://localhost:5000/v2/a"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "http://127.0.0.1:5000/v2/a/b"),
        ("[::1]:5000/a", "[::1]:5000/a", "http://[::1]:5000/v2/a"),
        ("10.0.0.1:5000/a", "10.0.0.1:5000/a", "https://10.0.0.1:5000/v2/a"),
        ("localhost.example.com/a", "localhost.example.com/a", "https://localhost.example.com/v2/a"),
    ],
)
def test_a_short_form_stands_for_its_long_one(ref: str, full: str, api: str) -> None:
    reference = Reference.parse(ref)
    assert (str(reference), reference.api) == (full, api)
    assert Reference.parse(full) == reference


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "A",
        "a:",
        "a:b:c",
        "a@",
        "a@sha256:012",
        f"a@{DIGEST.upper()}",
        "a//b",
        "https://ghcr.io/a",
        "ghcr.io/",
        "ghcr.io/a b",
        "ghcr.io/a?x",
        "ghcr.io/a#x",
        "ghcr.io/../a",
        "user@ghcr.io/a",
        "-a.io/b",
        "a\n",
        "a" * 513,
    ],
)
def test_what_is_no_reference_is_refused_by_name(ref: str) -> None:
    with pytest.raises(InputError, match=r"^images: web: found .*, expected \[registry/\]repository"):
        Reference.parse(ref, "images: web")


PARTS = st.text("aB1.-_:/@[]", max_size=12) | st.sampled_from(
    ["ghcr.io/a", "localhost:5/", "sha256:", DIGEST, "latest"]
)


@given(st.lists(PARTS, min_size=1, max_size=4).map("".join))
def test_the_engine_and_the_library_read_the_same_references(ref: str) -> None:
    try:
        ours = Reference.parse(ref)
    except InputError:
        with pytest.raises(InvalidValueError):
            ImageRef.parse(ref)
        return
    if not ours.registry.startswith("["):
        theirs = ImageRef.parse(ref)
        assert (ours.tag, ours.digest) == (theirs.tag, theirs.digest)
        assert ours.repository in {theirs.repository, f"library/{theirs.repository}"}


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:5000"])
def test_this_machine_is_known_in_all_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "10.0.0.1", "[::2]:5000", "localhost.example", "127.0.0.1.example", "ghcr.io"])
def test_other_machines_are_not_taken_for_it(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("image_id", ["", "nginx", "nginx:1.29", "sha256:0123", f"x@{DIGEST}0"])
def test_an_image_id_without_a_digest_has_none(image_id: str) -> None:
    assert digest_of_image_id(image_id) is None


# Challenges

WORDS = st.text("abcXYZ019-._~", min_size=1, max_size=8)
CHALLENGES = st.lists(
    st.builds(Challenge, WORDS.map(str.lower), st.dictionaries(WORDS.map(str.lower), st.text(max_size=12), max_size=4)),
    max_size=3,
)


@given(CHALLENGES, st.booleans())
def test_every_challenge_is_read_as_it_was_written(challenges: list[Challenge], spaced: bool) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    comma = ", " if spaced else ","
    written = comma.join(
        f"{challenge.scheme} " + comma.join(f"{name}={quoted(text)}" for name, text in challenge.parameters.items())
        for challenge in challenges
    )
    assert parse_challenges(written) == challenges


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        (
            'Basic realm="a, b", Bearer realm=x',
            [Challenge("basic", {"realm": "a, b"}), Challenge("bearer", {"realm": "x"})],
        ),
        ('Bearer realm = "x" , service=y', [Challenge("bearer", {"realm": "x", "service": "y"})]),
        ('Bearer realm="x', [Challenge("bearer")]),
        ('realm="x"', []),
    ],
)
def test_challenges_of_registries(header: str, challenges: list[Challenge]) -> None:
    assert parse_challenges(header) == challenges


@given(st.text())
def test_no_challenge_is_too_odd(header: str) -> None:
    parse_challenges(header)

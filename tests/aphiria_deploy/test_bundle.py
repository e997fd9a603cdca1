"""The bundle: sealed by its content, refused when it was changed, read by whoever knows its format."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.bundle import (
    FORMAT,
    BackupJobs,
    Bundle,
    BundleError,
    Contract,
    Environment,
    EnvironmentKind,
    Image,
    ManifestFile,
    Rehearsal,
    content_hash,
    decode,
    encode,
    json_schema,
    read,
)
from apps import site
from tests.aphiria_deploy.samples import config_map, make_bundle
from tests.apps.made import ENVIRONMENTS
from tests.apps.made import bundle as site_bundle
from tests.objects import leaves
from tools import bundle_schema

Document = dict[str, Any]


def document(bundle: Bundle) -> Document:
    found: Document = json.loads(encode(bundle))
    return found


def written(content: Any) -> bytes:
    return json.dumps(content).encode()


def test_a_bundle_is_sealed_when_it_is_made() -> None:
    bundle = make_bundle()

    assert re.fullmatch(r"sha256:[0-9a-f]{64}", bundle.hash)
    assert bundle.hash == content_hash(bundle)
    assert make_bundle().hash == bundle.hash


@pytest.mark.parametrize(
    "changes",
    [
        {"site": "other.example"},
        {"files": []},
        {"files": list(reversed(make_bundle().files))},
        {"images": {"web": Image(ref="web:2")}},
        {"secrets": []},
        {"base": []},
        {"urls": {}},
        {"checks": []},
        {"outputs": {"webUrl": "x"}},
        {"destruction": None},
    ],
    ids=str,
)
def test_other_content_is_another_hash(changes: dict[str, Any]) -> None:
    assert make_bundle(**changes).hash != make_bundle().hash


def test_a_bundle_reads_back_as_itself() -> None:
    bundle = make_bundle()

    again = decode(encode(bundle))

    assert again == bundle
    assert encode(again) == encode(bundle)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_bundle_of_the_site_reads_back_as_itself(environment: str) -> None:
    assert decode(encode(site_bundle(environment))) == site_bundle(environment)


def _shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: _shuffled(value[name], order) for name in names}
    return [_shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_is_nobodys_business(order: random.Random) -> None:
    bundle = make_bundle()

    again = decode(written(_shuffled(document(bundle), order)))

    assert again.hash == bundle.hash
    assert encode(again) == encode(bundle)


def test_keys_are_sorted_when_it_is_made_in_another_order() -> None:
    one, other = ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})

    bundles = [make_bundle(files=[ManifestFile(name="x", manifests=[config_map("c", data)])]) for data in (one, other)]

    assert encode(bundles[0]) == encode(bundles[1])


def test_it_is_written_for_people_too() -> None:
    text = encode(make_bundle()).decode()

    assert text.endswith("}\n")
    assert len(text.splitlines()) > 50
    assert "é" in text


_PATHS = [path for path, _ in leaves(document(make_bundle()))]


def _change(content: Document, path: str, value: Any) -> None:
    place: Any = content
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        place = place[step]
    place[last] = value


@given(st.sampled_from(_PATHS), st.sampled_from(["tampered", 99, None, True, [], {}]))
def test_whatever_is_changed_afterwards_is_noticed(path: str, value: Any) -> None:
    content = document(make_bundle())
    before = copy.deepcopy(content)
    _change(content, path, value)
    if content == before:
        return

    with pytest.raises(BundleError, match=r"^pr-7\.json: "):
        decode(written(content), "pr-7.json")


def test_a_change_shows_both_hashes() -> None:
    bundle = make_bundle()
    content = document(bundle)
    content["urls"]["web"] = "https://evil.example"

    with pytest.raises(BundleError) as error:
        decode(written(content))

    assert re.fullmatch(
        rf"bundle: the content hash is sha256:[0-9a-f]{{64}}, but hash says {bundle.hash}: "
        "it was changed after it was made",
        str(error.value),
    )


@pytest.mark.parametrize("without", ["removed", "emptied"])
def test_a_bundle_without_its_hash_is_not_sealed_anew(without: str) -> None:
    content = document(make_bundle())
    if without == "removed":
        del content["hash"]
    else:
        content["hash"] = ""

    with pytest.raises(BundleError, match="bundle: hash: found none, expected sha256: and 64 hex digits"):
        decode(written(content))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ((), "extra"),
        (("environment",), "extra"),
        (("files", 0), "extra"),
        (("secrets", 0), "data"),
        (("checks", 0), "x"),
    ],
)
def test_fields_that_nobody_knows_are_refused(path: tuple[str | int, ...], field: str) -> None:
    content = document(make_bundle())
    place: Any = content
    for step in path:
        place = place[step]
    place[field] = "x"

    with pytest.raises(BundleError, match=f"bundle: Object contains unknown field `{field}`"):
        decode(written(content))


@pytest.mark.parametrize("found", ["aphiria-deploy/bundle/v2", "aphiria-deploy/bundle/v0", "", "other"])
def test_a_format_that_this_version_does_not_know_is_refused_by_name(found: str) -> None:
    # Whatever else the newer format has: its name is looked at first.
    with pytest.raises(BundleError) as error:
        decode(written({"format": found, "hash": ["of another kind"], "unheard": True}))

    assert str(error.value) == (
        f"bundle: format: found {found!r}, expected {FORMAT!r}: use the version of aphiria-deploy that wrote it, "
        "or a newer one"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"format": "\xff"}',
        b"apiVersion: v1\nkind: ConfigMap\n",
        b'{"format": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_bundle_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"^x\.json: not a bundle: .*; expected what `aphiria-deploy synth --bundle`"):
        decode(content, "x.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"site": None}, r"Expected `str`, got `null` - at `\$\.site`"),
        ({"environment": {"name": "x", "kind": "staging", "namespace": "x"}}, r"Invalid enum value 'staging' - at"),
        ({"checks": [{"check": "unheard"}]}, r"Invalid value 'unheard' - at `\$\.checks\[0\]\.check`"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        decode(written(document(make_bundle()) | changes))


@pytest.mark.parametrize("text", ['"\\ud800"', '"\xff"', "[" * 100_000])
def test_text_that_is_none_is_refused_wherever_it_stands(text: str) -> None:
    content = encode(make_bundle()).replace(b'"shop.example"', text.encode("latin-1"))

    with pytest.raises(BundleError, match=r"^bundle: "):
        decode(content)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"

    with pytest.raises(BundleError) as error:
        read(missing)

    assert str(error.value) == (
        f"{missing}: No such file or directory; expected a file that `aphiria-deploy synth --bundle` wrote"
    )
    assert error.value.exit_code == 2


def test_a_bundle_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(encode(make_bundle()))

    assert read(file) == make_bundle()


def test_its_manifests_are_those_of_its_files_in_their_order() -> None:
    assert [item["metadata"]["name"] for item in make_bundle().manifests] == ["b", "a", "c"]


def test_it_knows_which_images_nobody_chose() -> None:
    assert make_bundle().sample_images == ["api"]


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        make_bundle().site = "other"  # type: ignore[misc] # that is what is tried


def test_its_schema_is_published_as_it_is() -> None:
    assert bundle_schema.PATH.read_text(encoding="utf-8") == bundle_schema.text(), "run: python -m tools.bundle_schema"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """The published schema."""
    schema = json.loads(bundle_schema.PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, "pr-999999999"])
def test_every_bundle_of_the_site_is_valid_by_the_published_schema(
    environment: str, validator: jsonschema.Draft202012Validator
) -> None:
    assert list(validator.iter_errors(document(site_bundle(environment)))) == []


def test_every_type_of_the_format_is_valid_by_the_published_schema(
    validator: jsonschema.Draft202012Validator,
) -> None:
    content = document(make_bundle())

    assert list(validator.iter_errors(content)) == []
    kinds = set(re.findall(r'"const": "([a-z0-9-]+)"|"enum": \[\s*"([a-z0-9-]+)"\s*\]', json.dumps(json_schema())))
    tags = {first or second for first, second in kinds}
    assert {tag for tag in tags if f'"{tag}"' not in json.dumps(content)} == set()


@pytest.mark.parametrize(
    "changes",
    [{"extra": 1}, {"site": 1}, {"format": "aphiria-deploy/bundle/v2"}, {"checks": [{"check": "x"}]}, {"hash": None}],
    ids=str,
)
def test_what_is_refused_is_invalid_by_the_schema_too(
    changes: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    content = document(make_bundle()) | changes

    assert list(validator.iter_errors(content))
    with pytest.raises(BundleError):
        decode(written(content))


def test_the_schema_requires_the_hash(validator: jsonschema.Draft202012Validator) -> None:
    content = document(make_bundle())
    del content["hash"]

    assert [error.message for error in validator.iter_errors(content)] == ["'hash' is a required property"]


def test_the_format_says_what_it_is() -> None:
    assert msgspec.json.decode(encode(make_bundle()))["format"] == FORMAT == "aphiria-deploy/bundle/v1"
    assert json_schema()["$id"] == FORMAT
    assert site.name == site_bundle("production").site


def test_a_bundle_of_the_formats_first_version_is_read_and_keeps_its_hash() -> None:
    path = Path(__file__).parents[1] / "cases" / "formats" / "bundle-v1.json"
    found = read(path)
    assert found.hash == json.loads(path.read_text())["hash"]
    assert found == make_bundle()


def test_backups_without_a_rehearsal_keep_the_hash_that_they_had() -> None:
    """Such a bundle is recorded in clusters, by versions that had none."""
    take, listed, restore, discard = ({"kind": "Job", "metadata": {"name": name}} for name in "tlrd")
    jobs = BackupJobs(
        take=take,
        list=listed,
        restore=restore,
        restore_variable="BACKUP_NAME",
        discard=discard,
        discard_variable="KEPT_DATABASE",
    )
    bundle = Bundle(
        site="shop",
        environment=Environment(name="production", kind=EnvironmentKind.PRODUCTION, namespace="shop"),
        files=[],
        images={},
        secrets=[],
        base=[],
        urls={},
        checks=[],
        outputs={},
        contract=Contract(),
        backup=jobs,
    )

    assert bundle.hash == "sha256:7ee6bb31cf11fcd7026879b113f0e4493501064283163cca3192ee01a66e5065"
    assert b"rehearsal" not in encode(bundle)
    rehearsed = msgspec.structs.replace(jobs, rehearsal=Rehearsal(job=take, variable="BACKUP_NAME", database="shop"))
    assert msgspec.structs.replace(bundle, backup=rehearsed, hash="").hash != bundle.hash

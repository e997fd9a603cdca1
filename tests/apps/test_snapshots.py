"""The whole of each environment, as it was looked at and found good.

Nothing updates these by itself. After a change that is meant: ``pytest tests/apps --snapshot-update``, and read the
difference.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from aphiria_deploy.bundle import encode
from aphiria_deploy.files import write
from tests.apps.made import ENVIRONMENTS, bundle


class _Yaml(SingleFileSnapshotExtension):
    """A snapshot is a file that a person can read."""

    _write_mode = WriteMode.TEXT
    file_extension = "yaml"


class _Json(_Yaml):
    file_extension = "json"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_files_are_written_as_they_were(environment: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    files = write([bundle(environment)], tmp_path)

    text = "".join(f"# {file.relative_to(tmp_path)}\n{file.read_text(encoding='utf-8')}" for file in files)
    assert text == snapshot(extension_class=_Yaml)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_bundle_says_what_it_said(environment: str, snapshot: SnapshotAssertion) -> None:
    document = msgspec.json.decode(encode(bundle(environment)))
    # The manifests are in the files' snapshot, and the hash is of all of it.
    del document["files"], document["hash"]

    text = msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2).decode() + "\n"
    assert text == snapshot(extension_class=_Json)

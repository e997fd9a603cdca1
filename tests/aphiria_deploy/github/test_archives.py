"""Images in files: read without being unpacked, and pushed byte by byte as they are."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.errors import AphiriaDeployError, ImageContentError, InputError
from aphiria_deploy.github.archives import Archive, PushError, digests, push, read_archive, read_archives
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry import Login, inspect
from tests.aphiria_deploy import registries
from tests.aphiria_deploy.github.images import INDEX, MANIFEST, Blobs, build, image, index, provenance, write
from tests.aphiria_deploy.registries import HTPASSWD, PASSWORD, USER, Running

COMMIT = "c" * 40


def test_an_image_says_its_digest_and_its_commit(tmp_path: Path) -> None:
    digest = build(tmp_path, "web", COMMIT)
    archive = read_archive(tmp_path / "web.oci.tar")

    assert archive == Archive(tmp_path / "web.oci.tar", digest, (COMMIT,))
    archive.require_revision(COMMIT)


def test_an_image_without_an_index_is_one_too(tmp_path: Path) -> None:
    blobs = Blobs()
    digest = write(tmp_path / "web.oci.tar", blobs, image(blobs, COMMIT))

    assert read_archive(tmp_path / "web.oci.tar").digest == digest


def test_every_platform_is_of_the_commit(tmp_path: Path) -> None:
    blobs = Blobs()
    platforms = [image(blobs, COMMIT), image(blobs, "e" * 40, "arm64")]
    write(tmp_path / "web.oci.tar", blobs, index(blobs, platforms))

    with pytest.raises(ImageContentError, match=f"found an image built from {'e' * 40}, expected"):
        read_archive(tmp_path / "web.oci.tar").require_revision(COMMIT)


def test_an_image_that_says_no_commit_is_of_none(tmp_path: Path) -> None:
    build(tmp_path, "web", None)

    with pytest.raises(ImageContentError, match="no commit that it tells"):
        read_archive(tmp_path / "web.oci.tar").require_revision(COMMIT)


def test_a_folder_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    web, api = build(tmp_path, "web", COMMIT), build(tmp_path / "below", "api", COMMIT)
    (tmp_path / "notes.txt").write_text("x")

    assert digests(read_archives(tmp_path)) == {"web": web, "api": api}


def test_a_folder_without_images_and_one_with_two_of_a_name_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no file that ends in \.oci\.tar"):
        read_archives(tmp_path)
    build(tmp_path / "a", "web", COMMIT)
    build(tmp_path / "b", "web", COMMIT)
    with pytest.raises(InputError, match="found a second image 'web'"):
        read_archives(tmp_path)


def raw(path: Path, files: dict[str, bytes], *, twice: str = "") -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in [*files.items(), *([(twice, b"{}")] if twice else [])]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def top(**more: Any) -> bytes:
    entry = {"mediaType": INDEX, "digest": f"sha256:{'0' * 64}", "size": 1, **more}
    return json.dumps({"manifests": [entry]}).encode()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "index.json: found none"),
        ({"index.json": b"x"}, "index.json"),
        ({"index.json": b"[]"}, "found no JSON object"),
        ({"index.json": b"{}"}, "found no single image"),
        ({"index.json": b'{"manifests": [{}, {}]}'}, "found no single image"),
        ({"index.json": b'{"manifests": ["x"]}'}, "found no single image"),
        ({"index.json": top(digest="sha256:../../etc/passwd")}, "found no digest"),
        ({"index.json": top(digest=7)}, "found no digest"),
        ({"index.json": top()}, "found none, or one larger"),
        ({"index.json": top(), f"blobs/sha256/{'0' * 64}": b"{}"}, "found other content"),
        ({"index.json": b" " * (5 * 1024 * 1024)}, "one larger than"),
    ],
)
def test_what_is_no_image_is_said(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    raw(tmp_path / "web.oci.tar", files)

    with pytest.raises(ImageContentError, match=message):
        read_archive(tmp_path / "web.oci.tar")


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b" + b"x" * 100])
def test_what_is_no_archive_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "web.oci.tar").write_bytes(content)

    with pytest.raises(AphiriaDeployError, match=r"web\.oci\.tar"):
        read_archive(tmp_path / "web.oci.tar")


def test_a_file_that_is_there_twice_is_no_file(tmp_path: Path) -> None:
    raw(tmp_path / "web.oci.tar", {"index.json": top()}, twice="./index.json")

    with pytest.raises(ImageContentError, match=r"found index\.json twice"):
        read_archive(tmp_path / "web.oci.tar")


def test_a_link_is_no_file(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "web.oci.tar", "w") as tar:
        entry = tarfile.TarInfo("index.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)

    with pytest.raises(ImageContentError, match=r"index\.json: found none"):
        read_archive(tmp_path / "web.oci.tar")


def test_an_index_that_leads_to_itself_ends(tmp_path: Path) -> None:
    blobs = Blobs()
    deep = image(blobs, COMMIT)
    for _ in range(6):
        deep = index(blobs, [deep])
    write(tmp_path / "web.oci.tar", blobs, deep)

    with pytest.raises(ImageContentError, match="too deep or too long"):
        read_archive(tmp_path / "web.oci.tar")


def test_what_runs_nothing_is_no_image(tmp_path: Path) -> None:
    blobs = Blobs()
    made = blobs.add(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs.add({}, "x/y"), "layers": []}, MANIFEST
    )
    write(tmp_path / "a.oci.tar", blobs, made)
    only = Blobs()
    write(tmp_path / "b.oci.tar", only, index(only, [provenance(only, image(only, COMMIT))]))

    with pytest.raises(ImageContentError, match="whose configuration is 'x/y'"):
        read_archive(tmp_path / "a.oci.tar")
    with pytest.raises(ImageContentError, match="found an index without images"):
        read_archive(tmp_path / "b.oci.tar")


# Pushing, with the real program, to a real registry


needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (apt-get install skopeo)")


@contextmanager
def closed_registry(folder: Path) -> Iterator[Running]:
    folder.mkdir()
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    with registries.registry(folder, auth) as running:
        yield running


@needs_skopeo
def test_an_image_arrives_as_it_was(tmp_path: Path) -> None:
    digest = build(tmp_path, "web", COMMIT)
    with closed_registry(tmp_path / "registry") as registry:
        ref = f"{registry.host}/aphiria/web@{digest}"
        login = Login(USER, SecretValue(PASSWORD))
        push(read_archive(tmp_path / "web.oci.tar"), ref, login)

        content = inspect({"web": ref}, {registry.host: login})["web"]

    assert content.digest == digest
    content.require_revision(COMMIT)


@needs_skopeo
def test_a_login_that_is_refused_is_said_and_not_shown(tmp_path: Path) -> None:
    digest = build(tmp_path, "web", COMMIT)
    with closed_registry(tmp_path / "registry") as registry:
        archive = read_archive(tmp_path / "web.oci.tar")
        wrong = Login(USER, SecretValue("wrong-password-1"))
        with pytest.raises(PushError, match="could not be pushed") as raised:
            push(archive, f"{registry.host}/aphiria/web@{digest}", wrong)

    assert "wrong-password-1" not in str(raised.value)


def test_another_digest_is_not_pushed(tmp_path: Path) -> None:
    build(tmp_path, "web", COMMIT)

    with pytest.raises(InputError, match=r"found another image in web\.oci\.tar"):
        push(read_archive(tmp_path / "web.oci.tar"), f"127.0.0.1:1/web@sha256:{'0' * 64}", None)


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    digest = build(tmp_path, "web", COMMIT)

    with pytest.raises(PushError, match="expected the program that pushes images"):
        push(read_archive(tmp_path / "web.oci.tar"), f"127.0.0.1:1/web@{digest}", None, skopeo="/nowhere/skopeo")

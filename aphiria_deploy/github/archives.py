"""Images as OCI archives: what is in them, and how they get to the registry.

A pull request's job has no token that writes, so its images are files (``docker buildx … --output type=oci``). They are
read here without being unpacked. https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from aphiria_deploy.diagnosis.redaction import redact
from aphiria_deploy.errors import AphiriaDeployError, ImageContentError, InputError
from aphiria_deploy.fields import one_line
from aphiria_deploy.registry.client import CONFIG_BYTES, DEPTH, DOCUMENTS, MANIFEST_BYTES
from aphiria_deploy.registry.content import CONFIGS, REVISION, Document, MalformedError, revision_and_platform
from aphiria_deploy.registry.login import Login
from aphiria_deploy.registry.reference import Reference, is_digest, is_loopback

SUFFIX: Final = ".oci.tar"
PUSH_SECONDS: Final = 900.0
_MEMBERS: Final = 10_000


class PushError(AphiriaDeployError):
    """An image could not be pushed to its registry."""


@dataclass(frozen=True)
class Archive:
    """An image in a file.

    Attributes:
        path: The file.
        digest: The image's digest: of the index where there is one.
        revisions: The commit that each platform's image says it was built from; none where it says nothing.
    """

    path: Path
    digest: str
    revisions: tuple[str | None, ...]

    def require_revision(self, commit: str) -> None:
        """Checks that the images of all platforms were built from a commit.

        Raises:
            ImageContentError: One says another, or none.
        """
        for revision in self.revisions:
            if revision != commit:
                raise ImageContentError(
                    f"{self.path.name}: found an image built from {revision or 'no commit that it tells'}, expected "
                    f"one that was built from {commit}, by its label {REVISION}"
                )


def read_archives(folder: Path) -> dict[str, Archive]:
    """Reads the images in a folder: ``web.oci.tar`` is the image ``web``.

    Raises:
        InputError: There is none, or one cannot be read.
        ImageContentError: One is no image.
    """
    paths = sorted(folder.glob(f"**/*{SUFFIX}"))
    if not paths:
        raise InputError(f"{folder}: found no file that ends in {SUFFIX}, expected one for each image")
    archives: dict[str, Archive] = {}
    for path in paths:
        name = path.name.removesuffix(SUFFIX)
        if name in archives:
            raise InputError(f"{path}: found a second image {name!r}, expected each once")
        archives[name] = read_archive(path)
    return archives


def read_archive(path: Path) -> Archive:
    """Reads an image in a file.

    Raises:
        InputError: It cannot be read.
        ImageContentError: It is no image, or holds several.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            return _Reading(path, tar).archive()
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{path}: {error}; expected an OCI archive, as buildx writes it with type=oci") from error
    except MalformedError as error:
        raise ImageContentError(f"{path.name}: {error}") from error


class _Reading:
    """Reads the documents of one archive."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._path = path
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] = {}
        self._read = 0
        for number, member in enumerate(tar):
            if number >= _MEMBERS:
                raise ImageContentError(f"{path.name}: found more than {_MEMBERS} files, expected an image")
            name = member.name.removeprefix("./")
            # One that is there twice could be one thing here and another for who pushes it.
            if name in self._members:
                raise ImageContentError(f"{path.name}: found {one_line(name)} twice, expected each file once")
            self._members[name] = member

    def archive(self) -> Archive:
        """Gives what is in it."""
        index = _object(self._file("index.json", MANIFEST_BYTES), "index.json")
        listed = index.get("manifests")
        if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], dict):
            raise ImageContentError(f"{self._path.name}: index.json: found no single image, expected one")
        digest = listed[0].get("digest")
        if not isinstance(digest, str) or not is_digest(digest):
            raise ImageContentError(f"{self._path.name}: index.json: found no digest, expected the image's")
        document = self._document(digest, str(listed[0].get("mediaType")))
        revisions = tuple(self._revisions(document, 0))
        if not revisions:
            raise ImageContentError(f"{self._path.name}: found an index without images, expected one that runs")
        return Archive(self._path, digest, revisions)

    def _revisions(self, document: Document, depth: int) -> list[str | None]:
        if not document.is_index:
            config = document.config()
            if config.media_type not in CONFIGS:
                raise ImageContentError(
                    f"{self._path.name}: found a manifest whose configuration is {config.media_type!r}, expected an "
                    "image"
                )
            return [revision_and_platform(_object(self._blob(config.digest, CONFIG_BYTES), config.digest))[0]]
        children = document.children()
        self._read += len(children)
        if depth == DEPTH or self._read > DOCUMENTS:
            raise ImageContentError(f"{self._path.name}: found indexes too deep or too long, expected one image")
        return [
            revision
            for child in children
            for revision in self._revisions(self._document(child.digest, child.media_type), depth + 1)
        ]

    def _document(self, digest: str, media_type: str) -> Document:
        return Document.read(digest, media_type, _object(self._blob(digest, MANIFEST_BYTES), digest))

    def _blob(self, digest: str, limit: int) -> bytes:
        algorithm, _, value = digest.partition(":")
        content = self._file(f"blobs/{algorithm}/{value}", limit)
        if hashlib.sha256(content).hexdigest() != value:
            raise ImageContentError(f"{self._path.name}: {digest}: found other content, expected what the digest says")
        return content

    def _file(self, name: str, limit: int) -> bytes:
        member = self._members.get(name)
        file = self._tar.extractfile(member) if member is not None and member.isreg() and member.size <= limit else None
        if file is None:
            raise ImageContentError(
                f"{self._path.name}: {name}: found none, or one larger than {limit} bytes, expected it in the archive"
            )
        return file.read(limit)


def push(archive: Archive, ref: str, login: Login | None, *, skopeo: str = "skopeo") -> None:
    """Pushes an image as it is: no byte of its manifests changes, so that its digest stays.

    Args:
        archive: The image.
        ref: Where to: ``<registry>/<repository>@<digest>``.
        login: The login at the registry. It reaches the program through memory, not by a file or an argument.
        skopeo: The program that pushes.

    Raises:
        InputError: The reference is not the image's.
        PushError: It could not be pushed.
    """
    reference = Reference.parse(ref, "image")
    if reference.digest != archive.digest:
        raise InputError(f"{ref}: found another image in {archive.path.name}, {archive.digest}, expected that one")
    target = f"docker://{reference.registry}/{reference.repository}@{reference.digest}"
    logins = {"auths": {reference.registry: {"auth": _basic(login)}} if login else {}}
    descriptor = os.memfd_create("logins")
    try:
        os.write(descriptor, json.dumps(logins).encode())
        command = [skopeo, "copy", "--all", "--preserve-digests", f"--dest-authfile=/proc/self/fd/{descriptor}"]
        command += ["--dest-tls-verify=false"] if is_loopback(reference.registry) else []
        ended = subprocess.run(  # noqa: S603 - a program with arguments, no shell
            [*command, f"oci-archive:{archive.path}", target],
            pass_fds=(descriptor,),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PUSH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise PushError(f"{ref}: found no end of pushing after {PUSH_SECONDS:g} s, expected one: try again") from None
    except OSError as error:
        raise PushError(f"{skopeo}: {error.strerror}; expected the program that pushes images: install it") from error
    finally:
        os.close(descriptor)
    if ended.returncode:
        said = one_line(redact(ended.stderr, [login.basic().reveal()] if login else []))
        raise PushError(f"{ref}: found that it could not be pushed: {said}; expected leave to push, and a registry")


def digests(archives: Mapping[str, Archive]) -> dict[str, str]:
    """The digests of images, by their names."""
    return {name: archive.digest for name, archive in archives.items()}


def _basic(login: Login) -> str:
    return login.basic().reveal().removeprefix("Basic ")


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedError(f"{where}: {error}") from error
    if not isinstance(data, dict):
        raise MalformedError(f"{where}: found no JSON object, expected one")
    return data

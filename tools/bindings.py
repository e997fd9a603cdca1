"""Generate Python bindings of CRDs with `cdk8s import`, so that the same input gives the same bytes."""

import gzip
import io
import json
import re
import shutil
import struct
import subprocess
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from tools.crds import Crd
from tools.node import CHECKOUT, NODE, environment

_CDK8S: Final = CHECKOUT / "node_modules" / "cdk8s-cli" / "bin" / "cdk8s"
_TIMEOUT_SECONDS: Final = 300

# What the TypeScript compiler appends: three times the size of the code, and read by nobody.
_SOURCE_MAP: Final = re.compile(rb"\n//# sourceMappingURL=data:[^\n]*\n?\Z")
# Members of a jsii package that its runtime reads; the others are declarations for TypeScript.
_RUNTIME_MEMBERS: Final = re.compile(r"package/(\.jsii|package\.json|[^/]+\.js)")
# The time that npm itself writes into every package.
_NPM_TIME: Final = 499162500
# A stored block of a deflate stream has a length of 16 bits (RFC 1951, 3.2.4).
_STORED_BLOCK: Final = 0xFFFF


class GenerationError(Exception):
    """`cdk8s import` failed, or gave something else than one package for each API group."""


@dataclass(frozen=True)
class Generated:
    """Two folders: what becomes `imports/`, and the stubs by which type checkers find it."""

    packages: Path
    stubs: Path


def generate(groups: Mapping[str, Sequence[Crd]], work: Path) -> Generated:
    """Generate the bindings of CRDs, which are given by their API groups, below the folder `work`.

    Raises:
        GenerationError: See there.
    """
    made = Generated(work / "imports", work / "stubs")
    # A call for each group: in one call for all, a group's assembly holds the code of those before it too.
    # Two at a time, since each keeps one core busy.
    with ThreadPoolExecutor(max_workers=2) as executor:
        outputs = list(executor.map(lambda group: _import_group(group, groups[group], work / group), groups))
    for output in outputs:
        package = _only_package(output)
        for archive in package.glob("_jsii/*.tgz"):
            archive.write_bytes(normalize_archive(archive.read_bytes()))
        shutil.copytree(output, made.packages, dirs_exist_ok=True)
        _write_stub(package.relative_to(output), made.stubs)
    return made


def normalize_archive(archive: bytes) -> bytes:
    """A jsii package (tar, gzip) with what its runtime reads, in bytes that depend on its content alone.

    It is stored and not compressed: what a compressor makes differs between builds of zlib and between
    processors, and both git and wheels compress it in their turn.
    """
    content = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as source,
        tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as target,
    ):
        for name in sorted(name for name in source.getnames() if _RUNTIME_MEMBERS.fullmatch(name)):
            member = source.extractfile(name)
            if member is None:
                continue
            data = _without_padding(name, member.read())
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), _NPM_TIME, 0o644
            target.addfile(entry, io.BytesIO(data))
    return _gzip_stored(content.getvalue())


def _without_padding(name: str, data: bytes) -> bytes:
    if name.endswith(".jsii"):
        return json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":")).encode()
    return _SOURCE_MAP.sub(b"\n", data)


def _import_group(group: str, crds: Sequence[Crd], work: Path) -> Path:
    """Run `cdk8s import` for one API group; return the folder that it wrote."""
    temporary, source, output = work / "tmp", work / "crds.yaml", work / "output"
    temporary.mkdir(parents=True)
    source.write_text(yaml.safe_dump_all([crd.document for crd in crds], sort_keys=False), encoding="utf-8")
    command = [str(NODE), str(_CDK8S), "import", str(source), "--language", "python"]
    command += ["--output", str(output), "--no-save"]
    # The compilers leave folders behind; and without the variable the CLI asks the network for a newer one.
    overrides = {"TMPDIR": str(temporary), "CDK8S_CHECK_UPGRADE": "false"}
    try:
        run = subprocess.run(  # noqa: S603
            command,
            cwd=work,
            env=environment(overrides),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GenerationError(f"cdk8s import of {group}: {error}") from error
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(output.rglob("__init__.py")))
    # Its exit code is 0 for some failures.
    lacking = [crd.kind for crd in crds if f":schema: {crd.kind}\n" not in text]
    if run.returncode != 0 or lacking:
        reason = f"exit code {run.returncode}" if run.returncode else f"no binding of {', '.join(lacking)}"
        raise GenerationError(f"cdk8s import of {group}: found {reason}; its output:\n{run.stdout.rstrip()}")
    return output


def _only_package(output: Path) -> Path:
    packages = [folder.parent for folder in output.rglob("_jsii")]
    if len(packages) != 1:
        raise GenerationError(f"{output}: found {len(packages)} packages; expected the one of an API group.")
    return packages[0]


def _write_stub(package: Path, stubs: Path) -> None:
    """Write the stub of `constructs_lib._imports.<package>`, which in a checkout has no module there."""
    dotted = ".".join(package.parts)
    folder = stubs / package
    folder.mkdir(parents=True)
    (folder / "__init__.pyi").write_text(f"from imports.{dotted} import *\n", encoding="utf-8")


def _gzip_stored(data: bytes) -> bytes:
    """Gzip (RFC 1952) without compression, name or time."""
    blocks = [data[start : start + _STORED_BLOCK] for start in range(0, len(data), _STORED_BLOCK)] or [b""]
    body = b"".join(
        struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks, start=1)
    )
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)

"""Make `imports/`, the typed bindings of custom resources: `python -m tools.imports [--crds FOLDER]`.

The CRDs are those of cdk8s.yaml, downloaded, or taken from a folder that holds a file
`<project>-<version>.yaml` for each of them. Each is reduced to what crds.yaml names, and given to
`cdk8s import`. If any of it fails, `imports/` stays as it was.
"""

import argparse
import re
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from tools.bindings import GenerationError, generate
from tools.crds import Crd, CrdError, find_crd, load_crds, parse_crds
from tools.node import CACHE, CHECKOUT
from tools.reduction import Use, load_table, reduce_crd

CONFIG: Final = CHECKOUT / "cdk8s.yaml"
_TABLE: Final = CHECKOUT / "tools" / "crds.yaml"
_IMPORTS: Final = CHECKOUT / "imports"
_STUBS: Final = CHECKOUT / "constructs_lib" / "_imports"

# https://github.com/OWNER/PROJECT/releases/download/vVERSION/FILE, or the same with the raw files of a tag.
_ADDRESS: Final = re.compile(r"https://[^/]+/[^/]+/(?P<project>[^/]+)/.*/?v(?P<version>\d+\.\d+\.\d+)/.*\.yaml")
_DOWNLOAD_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True)
class Release:
    """A project's release that has CRDs: an entry of `imports` in cdk8s.yaml."""

    project: str
    version: str
    address: str


def load_releases(config: Path) -> list[Release]:
    """The releases that cdk8s.yaml names.

    Raises:
        CrdError: It cannot be read, or an address does not tell a project and a version.
    """
    try:
        document = yaml.load(config.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        addresses = list(document["imports"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CrdError(f"{config}: found {error!r}; expected a list `imports` of addresses.") from error
    releases = []
    for number, address in enumerate(addresses):
        match = _ADDRESS.fullmatch(str(address))
        if match is None:
            raise CrdError(
                f"{config}: imports[{number}]: found {address!r}; expected an address like "
                "https://github.com/OWNER/PROJECT/releases/download/v1.2.3/FILE.yaml."
            )
        releases.append(Release(match["project"], match["version"], str(address)))
    return releases


def read_release(release: Release, folder: Path | None) -> list[Crd]:
    """The CRDs of a release, from a folder of files or, without one, downloaded.

    Raises:
        CrdError: There is no such file, the download failed, or what came is not a file of CRDs.
    """
    if folder is None:
        return parse_crds(_download(release), release.address)
    path = folder / f"{release.project}-{release.version}.yaml"
    if not path.is_file():
        found = ", ".join(sorted(file.name for file in folder.glob("*.yaml"))) or "no .yaml files"
        raise CrdError(f"{folder}: found {found}; expected {path.name}, the version in cdk8s.yaml.")
    return load_crds(path)


def reduced_crds(releases: Sequence[Release], table: Sequence[Use], folder: Path | None) -> dict[str, list[Crd]]:
    """What the table keeps of the releases' CRDs, by API group.

    Raises:
        CrdError: A release cannot be had, lacks a CRD of the table, or departs from it; or the table names a
            project that cdk8s.yaml does not.
    """
    by_project = {release.project: release for release in releases}
    for use in table:
        if use.project not in by_project:
            raise CrdError(
                f"{use.name}: project: found {use.project}; expected one of cdk8s.yaml: "
                f"{', '.join(sorted(by_project))}."
            )
    crds = {release.project: read_release(release, folder) for release in releases}
    groups: dict[str, list[Crd]] = {}
    for use in table:
        release = by_project[use.project]
        crd = find_crd(crds[use.project], use.name, f"{release.project} {release.version}")
        groups.setdefault(crd.group, []).append(Crd(crd.source, reduce_crd(crd, use)))
    return groups


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make imports", description=__doc__)
    parser.add_argument("--crds", type=Path, metavar="FOLDER", help="files of CRDs, instead of downloads")
    folder: Path | None = parser.parse_args(arguments).crds
    CACHE.mkdir(exist_ok=True)
    # In .cache, and not in the system's temporary folder: what is made there is renamed into the checkout.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="imports-") as work:
        try:
            groups = reduced_crds(load_releases(CONFIG), load_table(_TABLE), folder)
            made = generate(groups, Path(work))
            replace_folder(made.packages, _IMPORTS)
            replace_stubs(made.stubs, _STUBS)
        except (CrdError, GenerationError) as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
    for package in sorted(_IMPORTS.rglob("_jsii")):
        size = sum(file.stat().st_size for file in package.parent.rglob("*") if file.is_file())
        sys.stdout.write(f"{package.parent.relative_to(CHECKOUT)}  {size / 1000:.0f} kB\n")
    return 0


def replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another one, by renaming; at worst the old one lies beside `new`."""
    old = new.with_name(f"{new.name}.old")
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def replace_stubs(new: Path, target: Path) -> None:
    """Put the folders of stubs in `target` in place of those that are there; leave its modules alone."""
    for folder in target.iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            shutil.rmtree(folder)
    for folder in new.iterdir():
        folder.rename(target / folder.name)


def _download(release: Release) -> str:
    try:
        # The pattern of addresses admits https alone.
        with urllib.request.urlopen(release.address, timeout=_DOWNLOAD_TIMEOUT_SECONDS) as answer:  # noqa: S310
            body: bytes = answer.read()
        return body.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CrdError(
            f"{release.address}: found {error}; expected the CRDs of {release.project} {release.version}. "
            "Where there is no network, `make imports CRDS=FOLDER` takes them from files."
        ) from error


if __name__ == "__main__":
    sys.exit(main())

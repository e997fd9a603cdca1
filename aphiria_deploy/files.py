"""A bundle's manifests as YAML files, for people and for ``kubectl apply -f``."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from aphiria_deploy.bundle import Bundle, Site

# What YAML 1.1, YAML 1.2 and Kubernetes' parser all take for a string without quotes. Everything that begins like a
# number is quoted (a commit such as 1234567e8 is one), and so are the words below.
_PLAIN = re.compile(r"[A-Za-z_/][ -~]*")
_PRINTABLE = re.compile(r"[ -~\n]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # libyaml's where it is there
    """Writes what every parser reads back as it was."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes an object that occurs twice twice."""
        return True


@lru_cache(maxsize=4096)
def _style(text: str) -> str | None:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return None
    if not _PRINTABLE.fullmatch(text):
        # Escaped: U+2028, for one, ends a line for some parsers.
        return '"'
    return "|" if "\n" in text else "'"


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


_Dumper.add_representer(str, _string)


def to_yaml(manifests: Iterable[Mapping[str, Any]]) -> str:
    """Gives manifests as a stream of YAML documents, each one begun with ``---``."""
    documents = [dict(manifest) for manifest in manifests]
    text = yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096, explicit_start=True
    )
    assert isinstance(text, str)  # noqa: S101 - without a stream and an encoding it is
    return text


def render(bundle: Bundle) -> dict[str, str]:
    """Gives a bundle's files, by name."""
    return {f"{file.name}.k8s.yaml": to_yaml(file.manifests) for file in bundle.files}


def write(bundles: Sequence[Bundle], out: Path) -> list[Path]:
    """Writes ``<out>/<environment>/<file>.k8s.yaml`` for each file of each bundle.

    Everything is written before anything is replaced, and an environment's folder is replaced as a whole.

    Returns:
        The files that were written.

    Raises:
        OSError: A file or folder could not be written.
    """
    rendered = {bundle.environment.name: render(bundle) for bundle in bundles}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".synth.", dir=out) as temporary:
        fresh, old = Path(temporary, "new"), Path(temporary, "old")
        old.mkdir()
        for environment, files in rendered.items():
            (fresh / environment).mkdir(parents=True)
            for name, text in files.items():
                (fresh / environment / name).write_text(text, encoding="utf-8")
        for environment in rendered:
            if (out / environment).exists():
                (out / environment).rename(old / environment)
            (fresh / environment).rename(out / environment)
    return [out / environment / name for environment, files in rendered.items() for name in files]


def synthesize(site: Site, environments: Sequence[str], images: Mapping[str, str], out: Path) -> list[Bundle]:
    """Makes the bundles of environments and writes their files, once all of them are made.

    Args:
        site: The site.
        environments: Their names; the site's own list where there is none.
        images: References for the site's images, by its names for them.
        out: The folder.

    Returns:
        The bundles.

    Raises:
        ValueError: An environment, a name or a reference is not one. Nothing was written.
        OSError: A file or folder could not be written.
    """
    bundles = [site.bundle(environment, images) for environment in environments or site.environments]
    write(bundles, out)
    return bundles

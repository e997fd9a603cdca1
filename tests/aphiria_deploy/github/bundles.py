"""A preview's and production's bundle, as Aphiria's site makes them, and a site that makes them without Node."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from aphiria_deploy.bundle import Bundle
from apps import site as aphiria

COMMIT = "c" * 40
TREE = "d" * 40
OWN = ("api", "web")
SAMPLES = {
    name: f"ghcr.io/aphiria/aphiria.com-{name}@sha256:{digit * 64}" for name, digit in (("api", "a"), ("web", "b"))
}


@cache
def preview(number: int = 107) -> Bundle:
    """The bundle of a preview, with images that were built."""
    return aphiria.bundle(f"pr-{number}", SAMPLES)


@cache
def production() -> Bundle:
    """Production's bundle."""
    return aphiria.bundle("production", SAMPLES)


def changed(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> Bundle:
    """The bundle with something else in it, sealed anew, as whoever makes it can."""
    data: dict[str, Any] = json.loads(msgspec.json.encode(bundle))
    change(data)
    data.pop("hash")
    return msgspec.convert(data, Bundle)


def manifest(data: Mapping[str, Any], kind: str, name: str = "") -> dict[str, Any]:
    """An object in a bundle's JSON."""
    for file in data["files"]:
        for item in file["manifests"]:
            if item["kind"] == kind and name in {"", item["metadata"]["name"]}:
                assert isinstance(item, dict)
                return item
    raise KeyError(f"{kind} {name}")


class Site:
    """Aphiria's site, whose bundles are made once: with other images they differ in these alone."""

    name = "aphiria.com"
    environments: Sequence[str] = ("pr-107", "production")

    def bundle(self, environment: str, images: Mapping[str, str]) -> Bundle:
        number = int(environment.removeprefix("pr-")) if environment.startswith("pr-") else 0
        made = preview(number) if number else production()
        if unknown := images.keys() - set(made.images):
            raise ValueError(f"images: found {min(unknown)!r}, expected one of {', '.join(made.images)}")
        text = msgspec.json.encode(made).decode()
        for name, ref in images.items():
            text = text.replace(made.images[name].ref, ref)
        data = json.loads(text)
        data.pop("hash")
        if not images:
            for name in OWN:
                data["images"][name]["sample"] = True
        return msgspec.convert(data, Bundle)

"""Measures synthesis beside a peer, in one run: ``python -m bench synthesis``.

The peer needs the packages of ``package.json`` (``npm ci``); without them its part is left out, and said so.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aphiria_deploy.files import synthesize
from aphiria_deploy.preflight import check_bundle
from apps import site
from constructs_lib._node import use_supported_node
from constructs_lib.checks import check

ROOT = Path(__file__).parent.parent
RUNS = 9
PREVIEWS = (1, 10, 100, 1000)

_IMAGES = {name: f"ghcr.io/example/{name}@sha256:{'0' * 64}" for name in ("web", "api")}


def main() -> None:
    """Prints the figures."""
    print(f"Synthesis: medians of {RUNS} alternating runs")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _all_environments(folder)
        _previews(folder)
        _checks()


def _all_environments(folder: Path) -> None:
    ours = [sys.executable, "-m", "apps"]
    environment = os.environ | {"CDK8S_OUTDIR": str(folder / "ours")}
    if not (ROOT / "node_modules" / "cdk8s").is_dir():
        print(f"all environments: {_median([ours], environment)[0]:.2f} s (no peer: node_modules/ is not there)")
        return
    objects = folder / "objects.json"
    objects.write_text(json.dumps(_objects()), encoding="utf-8")
    peer = [use_supported_node(), str(ROOT / "bench" / "peer.mjs")]
    peers = [[*peer, mode, str(objects), str(folder / mode)] for mode in ("kinds", "plain")]
    mine, kinds, plain = _median([ours, *peers], environment)
    print(f"all environments: {mine:.2f} s")
    print(f"JavaScript, with the kinds of cdk8s-plus-28: {kinds:.2f} s, ratio {mine / kinds:.1f}")
    print(f"JavaScript, plain ApiObjects: {plain:.2f} s, ratio {mine / plain:.1f}")


def _objects() -> dict[str, dict[str, list[object]]]:

    bundles = [site.bundle(name, _IMAGES) for name in site.environments]
    return {bundle.environment.name: {file.name: list(file.manifests) for file in bundle.files} for bundle in bundles}


def _median(commands: Sequence[Sequence[str]], environment: dict[str, str]) -> list[float]:
    """Runs commands in turn, once to warm up, and gives each one's median in seconds."""
    seconds: list[list[float]] = [[] for _ in commands]
    for run in range(RUNS + 1):
        for command, taken in zip(commands, seconds, strict=True):
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
            if run:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def _previews(folder: Path) -> None:

    synthesize(site, ["pr-1"], _IMAGES, folder / "warm")
    for count in PREVIEWS:
        names = [f"pr-{number}" for number in range(1, count + 1)]
        start = time.perf_counter()
        bundles = synthesize(site, names, _IMAGES, folder / f"previews-{count}")
        each = (time.perf_counter() - start) / count * 1000
        print(f"{count} previews of {len(bundles[0].manifests)} objects: {each:.1f} ms each")


def _checks() -> None:
    bundles = [site.bundle(f"pr-{number}", _IMAGES) for number in range(1, 51)]
    check_bundle(bundles[0])
    one = []
    for bundle in bundles:
        start = time.perf_counter()
        check_bundle(bundle)
        one.append(time.perf_counter() - start)
    print(f"preflight of one preview, which is part of its synthesis: {statistics.median(one) * 1000:.1f} ms")
    objects = [manifest for bundle in bundles for manifest in bundle.manifests]
    many = []
    for _ in range(RUNS):
        start = time.perf_counter()
        check(objects)
        many.append(time.perf_counter() - start)
    print(f"preflight of {len(objects)} objects at once: {statistics.median(many):.2f} s")

"""The same sources and inputs give the same bytes, on any machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aphiria_deploy.files import write
from tests.apps.made import ENVIRONMENTS, bundle

ROOT = Path(__file__).parents[2]
COMMAND = "import os; os.umask({umask}); from aphiria_deploy.cli.main import run; run()"


@pytest.mark.parametrize(
    ("folder", "umask", "variables"),
    [
        (ROOT, "0o022", {"PYTHONHASHSEED": "0", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}),
        (
            ROOT / "apps",
            "0o077",
            {"PYTHONHASHSEED": "1", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "HOME": "/"},
        ),
    ],
)
def test_another_process_place_locale_zone_and_seed_make_the_same_bundles(
    folder: Path, umask: str, variables: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", COMMAND.format(umask=umask), "synth", *ENVIRONMENTS]

    run = subprocess.run(
        [*command, "--out", str(out), "--output", "json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    made = {item["environment"]: item["hash"] for item in json.loads(run.stdout)["environments"]}
    assert made == {environment: bundle(environment).hash for environment in ENVIRONMENTS}
    ours = write([bundle(environment) for environment in ENVIRONMENTS], tmp_path / "ours")
    assert [(out / file.relative_to(tmp_path / "ours")).read_bytes() for file in ours] == [
        file.read_bytes() for file in ours
    ]


def test_the_app_of_cdk8s_writes_the_same_files_as_the_command(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "apps"],
        cwd=ROOT,
        env=os.environ | {"CDK8S_OUTDIR": str(tmp_path / "cdk8s")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (0, ""), run.stderr
    ours = write([bundle(environment) for environment in ENVIRONMENTS], tmp_path / "ours")
    theirs = sorted(path for path in (tmp_path / "cdk8s").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "cdk8s") for path in theirs] == sorted(
        path.relative_to(tmp_path / "ours") for path in ours
    )
    assert [path.read_bytes() for path in theirs] == [path.read_bytes() for path in sorted(ours)]


def test_without_a_word_from_cdk8s_the_files_are_in_dist(tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "CDK8S_OUTDIR"}

    run = subprocess.run(
        [sys.executable, "-m", "apps", "preview-base"],
        cwd=tmp_path,
        env=variables | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml")) == [
        "dist/preview-base/10-base.k8s.yaml",
        "dist/preview-base/30-workloads.k8s.yaml",
    ]


def test_the_app_of_cdk8s_says_what_is_wrong_and_writes_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "apps", "pr-107", "pr-0"],
        cwd=ROOT,
        env=os.environ | {"CDK8S_OUTDIR": str(tmp_path / "cdk8s")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: environment: found 'pr-0', expected local, preview-base, production")
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "cdk8s").exists()

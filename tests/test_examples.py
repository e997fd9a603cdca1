"""The examples do what they are shown for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_bookshop_is_synthesized_by_cdk8s_alone(tmp_path: Path) -> None:
    environment = os.environ | {"CDK8S_OUTDIR": str(tmp_path)}
    main = EXAMPLES / "bookshop" / "main.py"
    subprocess.run([sys.executable, str(main)], check=True, env=environment, cwd=tmp_path)
    (file,) = tmp_path.glob("*.k8s.yaml")
    manifests = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    kinds = Counter(manifest["kind"] for manifest in manifests)
    assert kinds == {
        "ConfigMap": 4,
        "Service": 2,
        "Deployment": 2,
        "PodDisruptionBudget": 1,
        "HTTPRoute": 2,
        "RateLimitPolicy": 2,
    }
    deployments = {item["metadata"]["name"]: item for item in manifests if item["kind"] == "Deployment"}
    (copy,) = deployments["api"]["spec"]["template"]["spec"]["initContainers"]
    assert copy["command"] == ["cp", "-R", "/var/www/.", "/usr/share/nginx/html/"]


def test_the_readme_shows_the_bookshop_as_it_is() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    assert (EXAMPLES / "bookshop" / "main.py").read_text(encoding="utf-8") in readme

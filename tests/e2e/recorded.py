"""What a version of this tool leaves in a cluster, as data: what it applied and what it remembers.

A file of each version is kept in ``tests/cases/records``; a new one is written, once, by::

    python -m tests.e2e.recorded > tests/cases/records/VERSION.json
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from datetime import UTC, datetime
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine import releases
from aphiria_deploy.engine.applyset import Parent
from aphiria_deploy.engine.jobs import done_once
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.releases import Release, Result
from aphiria_deploy.engine.state import parent_manifest, parent_name
from aphiria_deploy.engine.wanted import wanted
from aphiria_deploy.secrets import make_secrets
from tests.e2e.engine import inputs
from tests.e2e.small import Small

NUMBER = 900
"""Of the preview in the files."""


def recorded(tool: str) -> dict[str, Any]:
    """What this version leaves in a cluster when it has deployed a small preview; no value of a Secret."""
    small = Small(number=NUMBER)
    bundle = small.bundle()
    parent = Parent(name=parent_name(small.environment), namespace=NAMESPACE)
    made = make_secrets(bundle.secrets, inputs(), [])
    objects = wanted(bundle, made, parent.id, {}).manifests
    jobs = [item for item in objects if item["kind"] == "Job"]
    release = Release(
        revision=1,
        result=Result.DEPLOYED,
        bundle=bundle,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        finished=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
        author="ann",
        tool=tool,
        secrets={f"{secret.ref.namespace}/{secret.ref.name}": secret.version for secret in made},
        jobs=[done_once(job, jobs, {}) for job in jobs if job["metadata"]["name"] == small.migration_job],
    )
    record = releases.record(release, NAMESPACE)
    document = json.loads(gzip.decompress(base64.b64decode(record.pop("data")["release"])))
    return {
        "objects": [
            {key: value for key, value in item.items() if key != "data" or item["kind"] != "Secret"} for item in objects
        ],
        "record": record,
        "release": document,
        "parent": parent_manifest(parent.holding(objects), release, release.finished),
    }


def record_of(found: dict[str, Any]) -> Manifest:
    """The Secret of a recorded release."""
    data = gzip.compress(json.dumps(found["release"]).encode())
    return {**found["record"], "data": {"release": base64.b64encode(data).decode()}}


if __name__ == "__main__":
    from importlib.metadata import version

    json.dump(recorded(version("aphiria-deploy")), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")

"""The cdk8s app: ``cdk8s synth`` runs it, and tells it by a variable where to write."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aphiria_deploy.files import synthesize
from apps import site

if __name__ == "__main__":
    try:
        synthesize(site, sys.argv[1:], {}, Path(os.environ.get("CDK8S_OUTDIR", "dist")))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)

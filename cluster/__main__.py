"""What Pulumi runs: ``pulumi up`` in this folder, or ``aphiria-deploy cluster up STACK``."""

import sys
from pathlib import Path

# Pulumi runs this file by its folder's path, so that the package it belongs to is not known yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cluster.program import run

run()

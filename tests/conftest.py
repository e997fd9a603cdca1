"""How the tests run."""

from __future__ import annotations

import os

from hypothesis import settings

from constructs_lib._node import use_supported_node

# Before any test module imports jsii, in whatever order its imports are.
use_supported_node()

# No deadline: on a busy machine the first example pays for everything that is loaded. In CI always the same examples.
settings.register_profile("tests", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tests")

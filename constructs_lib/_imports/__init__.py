"""The bindings of custom resources that `cdk8s import` generated, by their API groups reversed.

`from constructs_lib._imports.io.k8s.networking.gateway import HttpRoute`. In a wheel they are in this
package; in a checkout they are in the top-level `imports/`, where `make imports` writes them, and what lies
here are stubs through which a type checker finds them.
"""

from pathlib import Path

from constructs_lib._node import use_supported_node

_ROOT = Path(__file__).resolve().parent.parent.parent

# Only in a checkout of this project, known by its pyproject.toml: beside an installed package there may be
# somebody else's `imports`, the generic name that `cdk8s import` gives.
if (_ROOT / "pyproject.toml").is_file():
    __path__.append(str(_ROOT / "imports"))

# Each binding loads its jsii assembly when it is imported.
use_supported_node()

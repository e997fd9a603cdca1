"""Where the bindings of `imports/` go in a wheel."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ImportsHook(BuildHookInterface[Any]):
    """Puts the content of the top-level `imports/` into the package that the library reaches it by.

    `force-include` in pyproject.toml would do the same to a wheel, but would also copy it into the
    environment of an editable install, where it would go stale.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"]["imports"] = "constructs_lib/_imports"

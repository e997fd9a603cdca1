"""What every resource is given: its provider, its parent's protection, and the ID that it is imported by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi


class Options:
    """Makes the options of resources, by their names in the program.

    Args:
        imports: The IDs of what exists already, by these names: such a resource is imported in place of being made.
            Once it is, its entry may stay or go.
        protect: Whether what would be lost is protected.
    """

    def __init__(self, imports: Mapping[str, str], *, protect: bool) -> None:
        self._imports = dict(imports)
        self._protect = protect

    def of(
        self, name: str, provider: pulumi.ProviderResource, *, precious: bool = False, **others: Any
    ) -> pulumi.ResourceOptions:
        """Gives a resource's options.

        Args:
            name: Its name in the program.
            provider: Who makes it.
            precious: Whether losing it would hurt.
            others: Further options.
        """
        return pulumi.ResourceOptions(
            provider=provider,
            protect=True if precious and self._protect else None,
            import_=self._imports.get(name),
            **others,
        )

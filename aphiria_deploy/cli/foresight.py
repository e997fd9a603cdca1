"""What a preview will reserve of its cluster, looked at when its plan is first shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aphiria_deploy.engine.plan import Plan
from aphiria_deploy.kube import Client, Deadline

if TYPE_CHECKING:
    from aphiria_deploy.capacity import Outlook


class Foresight:
    """Looks once, and only where something is to be shown: a deploy that changes nothing costs no request more.

    Args:
        client: The client with the credential that was given: a preview's own account may not list nodes.
        environment: Which environment; what is no preview is not looked at.
        deadline: By when.
    """

    def __init__(self, client: Client, environment: str, deadline: Deadline) -> None:
        self._client = client
        self._is_preview = environment.startswith("pr-")
        self._deadline = deadline
        self._found: Outlook | None = None

    @property
    def found(self) -> Outlook | None:
        """What was seen; None where nothing was shown."""
        return self._found

    def of(self, plan: Plan) -> Outlook | None:
        """Gives what is reserved by what a plan deploys; None of a plan that changes no object, or of no preview."""
        if self._found is None and self._is_preview and plan.changes_objects:
            # Here, because what changes nothing asks nobody.
            from aphiria_deploy.capacity import Outlook, outlook, reservation_of, room_of
            from aphiria_deploy.cli.room import read

            manifests = [step.manifest for step in plan.steps]
            seen = read(self._client, self._deadline)
            if isinstance(seen, str):
                self._found = Outlook(reservation_of(manifests), unread=seen)
            else:
                self._found = outlook(manifests, room_of(*seen))
        return self._found

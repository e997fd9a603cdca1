"""The Pulumi program's stacks: what they are run by, what they tell, and what goes wrong with them.

Only `aphiria_deploy.stacks.automation` imports Pulumi, and only who runs a stack imports that.
"""

from aphiria_deploy.stacks.errors import (
    NoPulumiError,
    NotLoggedInError,
    StackFailedError,
    StackLockedError,
    StackSettingsError,
    UnknownStackError,
)
from aphiria_deploy.stacks.events import Diagnostic, Digest, Event, Recorder, Step

__all__ = [
    "Diagnostic",
    "Digest",
    "Event",
    "NoPulumiError",
    "NotLoggedInError",
    "Recorder",
    "StackFailedError",
    "StackLockedError",
    "StackSettingsError",
    "Step",
    "UnknownStackError",
]

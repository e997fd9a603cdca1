"""The Kubernetes client: the only package that talks to a cluster.

Objects are plain JSON. Every call takes the `Deadline` by which it must be done, and with it the `Cancellation` that
stops it earlier, from any thread and at once. What can go wrong is in `aphiria_deploy.errors`; no error of the HTTP
client gets out.
"""

from aphiria_deploy.kube.access import Access
from aphiria_deploy.kube.caller import Manners, Tried
from aphiria_deploy.kube.client import FIELD_MANAGER, Client, ObjectList, Patch, Version
from aphiria_deploy.kube.concurrent import Outcome, both, concurrently
from aphiria_deploy.kube.deadline import Cancellation, Deadline, cancelled_by_signals
from aphiria_deploy.kube.kubeconfig import load, load_document
from aphiria_deploy.kube.mapping import Kind, Ref
from aphiria_deploy.kube.watch import Change, Event, Watched, Watches, watch

__all__ = [
    "FIELD_MANAGER",
    "Access",
    "Cancellation",
    "Change",
    "Client",
    "Deadline",
    "Event",
    "Kind",
    "Manners",
    "ObjectList",
    "Outcome",
    "Patch",
    "Ref",
    "Tried",
    "Version",
    "Watched",
    "Watches",
    "both",
    "cancelled_by_signals",
    "concurrently",
    "load",
    "load_document",
    "watch",
]

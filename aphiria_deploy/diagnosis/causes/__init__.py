"""The causes of failure, as a table: how each is recognized, when it dooms, and what to do about it.

The first row that fits a signal is its cause. The words that are matched are those of Kubernetes 1.36 (admission
and controllers: recorded from it; kubelet: pkg/kubelet/container/sync_result.go, pkg/kubelet/images/types.go and
kuberuntime), of containerd and runc, and of the cluster autoscaler (its FAQ). That a full node cache is no failure
(``failed to sync … cache``) is what Krane learnt (kubernetes#74755).

Texts are filled with the facts of the signal, and with the groups of the pattern.
"""

from __future__ import annotations

from aphiria_deploy.diagnosis.causes.containers import CONTAINERS
from aphiria_deploy.diagnosis.causes.objects import HINTS, OBJECTS
from aphiria_deploy.diagnosis.causes.placing import PLACING
from aphiria_deploy.diagnosis.causes.table import Cause, Source

__all__ = ["CAUSES", "HINTS", "Cause", "Source"]

CAUSES: tuple[Cause, ...] = (*PLACING, *CONTAINERS, *OBJECTS)

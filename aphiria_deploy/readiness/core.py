"""What workloads stand on: Namespace, ResourceQuota, PersistentVolumeClaim, Service, CustomResourceDefinition."""

from __future__ import annotations

from collections.abc import Mapping

from aphiria_deploy.fields import Object, at, conditions, mapping, mappings, metadata, text
from aphiria_deploy.readiness.verdict import Readiness, failed, ready, waiting

_PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
"""Annotations by which the volume controller asks a provisioner for a volume: from then on one is being made."""


def namespace(item: Object) -> Readiness:
    """It is Active."""
    phase = text(at(item, "status", "phase"))
    return ready("active") if phase == "Active" else waiting(f"its phase is {phase or 'not set yet'}")


def resource_quota(item: Object) -> Readiness:
    """Its limits are in force.

    The API server admits by ``status.hard``, which the quota controller copies from the spec: until then pods are
    refused with ``status unknown for quota``, or are admitted by the old limits.
    """
    if mapping(at(item, "spec", "hard")) == mapping(at(item, "status", "hard")):
        return ready("in force")
    return waiting("waiting for its controller to put its limits in force")


def persistent_volume_claim(item: Object, binding_modes: Mapping[str, str] | None = None) -> Readiness:
    """It is Bound, or nothing happens before a pod uses it.

    A claim says nothing of ``WaitForFirstConsumer``, the mode of its StorageClass. What tells is that the volume
    controller asks a provisioner for a volume (an annotation) at once in the other mode, and in this one only when a
    pod was scheduled (recorded from Kubernetes 1.36). So without the classes a pending claim that names a class
    counts as ready until its volume is being made: a moment too early costs nothing, since its pods wait for it,
    while waiting for a claim whose pods come later would never end.

    Args:
        item: The claim.
        binding_modes: The ``volumeBindingMode`` of each StorageClass, where they are known: then a class that is
            not among them does not exist.
    """
    spec, phase = mapping(item.get("spec")), text(at(item, "status", "phase"))
    if phase == "Bound":
        return ready("bound")
    if phase == "Lost":
        return failed("its volume is lost: the PersistentVolume that it was bound to is gone")
    annotations = mapping(metadata(item).get("annotations"))
    provisioner = next((text(annotations[key]) for key in _PROVISIONERS if key in annotations), "")
    if provisioner:
        return waiting(f"its volume is being made by {provisioner}")
    storage_class = text(spec.get("storageClassName"))
    if spec.get("volumeName"):
        return waiting(f"waiting to be bound to the volume {text(spec.get('volumeName'))}")
    if not storage_class:
        return waiting("waiting for a volume: it names no storage class, and the cluster has no default")
    if binding_modes is None:
        return ready("not bound yet: nothing happens to it before a pod uses it")
    if storage_class not in binding_modes:
        return waiting(f"its storage class {storage_class} does not exist")
    if binding_modes[storage_class] != "WaitForFirstConsumer":
        return waiting(f"waiting for a volume of the storage class {storage_class}")
    return ready("bound when the first pod uses it (WaitForFirstConsumer)")


def service(item: Object) -> Readiness:
    """It is there; one of type LoadBalancer has an address."""
    if at(item, "spec", "type") != "LoadBalancer":
        return ready("applied")
    addresses = [
        text(entry.get("ip")) or text(entry.get("hostname"))
        for entry in mappings(at(item, "status", "loadBalancer", "ingress"))
    ]
    if not any(addresses):
        return waiting("waiting for the load balancer's address")
    return ready(f"address {', '.join(filter(None, addresses))}")


def custom_resource_definition(item: Object) -> Readiness:
    """Its kind is served."""
    found = conditions(item.get("status"))
    if (names := found.get("NamesAccepted")) and names.status == "False":
        return failed(f"its names are taken: {names}")
    established = found.get("Established")
    if established and established.status == "True":
        return ready("established")
    return waiting(str(established) if established else "waiting for the API server to serve it")

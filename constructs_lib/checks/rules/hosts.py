"""Rules about host names inside of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.checks.manifests import Manifests, Object, mapping, sequence
from constructs_lib.checks.mentions import Mention, mentions
from constructs_lib.checks.model import Severity
from constructs_lib.checks.registry import Found, rule

_SEARCHED = {"", "svc", "svc.cluster"}


@rule(
    "service-fqdn",
    summary="a pod calls a Service of another namespace by a name that does not resolve there",
    why='The host `db` did not resolve from a preview\'s namespace: `could not translate host name "db" to address`.',
)
def service_fqdn(manifests: Manifests) -> Iterator[Found]:
    """Finds short names of Services in other namespaces."""
    for mention in mentions(manifests):
        name, _, rest = mention.host.partition(".")
        namespace = mention.pod.namespace
        if rest:
            where, _, suffix = rest.partition(".")
            known = manifests.find("Service", where, name)
            if manifests.closed and known is not None and suffix in _SEARCHED and where != namespace:
                yield _short(mention, known, Severity.WARNING)
            continue
        if manifests.find("Service", namespace, name) is not None:
            continue
        elsewhere = [item for item in manifests.everywhere("Service") if item.name == name and _has(item, mention.port)]
        if elsewhere:
            yield _short(mention, elsewhere[0], None)


def _short(mention: Mention, service: Object, severity: Severity | None) -> Found:
    full = f"{service.name}.{service.namespace or 'NAMESPACE'}.svc.cluster.local"
    wrong = "resolves only by the search list of the pod's resolver" if severity else "does not resolve"
    return Found(
        mention.item,
        mention.path,
        f"the host {mention.host!r} {wrong} in namespace {mention.pod.namespace or '(none)'}: the Service "
        f"{service.name} is in {service.namespace or 'another one'}",
        f"write {full}",
        severity,
    )


def _has(service: Object, port: int | None) -> bool:
    return port is None or any(mapping(one).get("port") == port for one in sequence(service.spec.get("ports")))

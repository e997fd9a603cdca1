"""Rules about network policies."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.checks import routing, traffic
from constructs_lib.checks.manifests import Manifests, Object, Pod, mapping, sequence, string
from constructs_lib.checks.mentions import Mention, mentions
from constructs_lib.checks.registry import Found, rule
from constructs_lib.checks.traffic import Peer, Port

_DNS = Peer("kube-system", {"k8s-app": "kube-dns"})


@rule(
    "network-policy-gateway",
    summary="a network policy cuts a pod off from its Gateway, from a Service that it calls, or from DNS",
    why="The policy admitted the namespace `default`, and the Gateway's pods were in `nginx-gateway`: no traffic.",
)
def network_policy_gateway(manifests: Manifests) -> Iterator[Found]:
    """Finds connections that the set needs and its policies refuse. What cannot be known is let be."""
    yield from _from_gateways(manifests)
    if manifests.closed:
        yield from _to_services(manifests)
        yield from _to_dns(manifests)


def _from_gateways(manifests: Manifests) -> Iterator[Found]:
    for backend in routing.backends(manifests):
        service = manifests.find("Service", backend.namespace, backend.name)
        if backend.route.kind not in routing.ROUTES or service is None:
            continue
        for port in map(mapping, sequence(service.spec.get("ports"))):
            if backend.port not in (port.get("port"), None):
                continue
            for pod in routing.selected_pods(manifests, service):
                declared = routing.container_port(pod, routing.target_port(port))
                yield from _gateway_to(manifests, backend.route, pod, _port(declared, port))


def _port(declared: dict[str, object] | None, port: dict[str, object]) -> Port:
    target = routing.target_port(port)
    protocol = string(port.get("protocol")) or "TCP"
    if declared is not None:
        number = declared.get("containerPort")
        return Port(number if isinstance(number, int) else None, string(declared.get("name")), protocol)
    return Port(target, None, protocol) if isinstance(target, int) else Port(None, target, protocol)


def _gateway_to(manifests: Manifests, route: Object, pod: Pod, port: Port) -> Iterator[Found]:
    restricting = traffic.policies(manifests, pod.namespace, pod.labels, "Ingress")
    for parent in routing.parents(route):
        peer = Peer(parent.namespace, None)
        if traffic.lets_through(manifests, restricting, "Ingress", peer, port) is False:
            yield Found(
                restricting[0],
                "spec.ingress",
                f"the pods of {pod.owner} get no traffic from the Gateway {parent.name}: NetworkPolicy "
                f"{', '.join(one.name for one in restricting)} admits nothing from namespace {parent.namespace} to "
                f"port {port.number or port.name}",
                "admit it: from a namespaceSelector with kubernetes.io/metadata.name: "
                f"{parent.namespace}, to port {port.number or port.name}",
            )


def _to_services(manifests: Manifests) -> Iterator[Found]:
    for mention in mentions(manifests):
        service = _service(manifests, mention)
        if service is None:
            continue
        ports = [mapping(one) for one in sequence(service.spec.get("ports"))]
        for port in ports:
            if mention.port in (port.get("port"), None) and not (mention.port is None and len(ports) > 1):
                yield from _call(manifests, mention, service, port)


def _service(manifests: Manifests, mention: Mention) -> Object | None:
    if mention.service is not None:
        return manifests.find("Service", *mention.service)
    return manifests.find("Service", mention.pod.namespace, mention.host)


def _call(manifests: Manifests, mention: Mention, service: Object, port: dict[str, object]) -> Iterator[Found]:
    pod = mention.pod
    targets = routing.selected_pods(manifests, service)
    labels = targets[0].labels if targets else mapping(service.spec.get("selector")) or None
    declared = routing.container_port(targets[0], routing.target_port(port)) if targets else None
    to = _port(declared, port)
    leaving = traffic.policies(manifests, pod.namespace, pod.labels, "Egress")
    entering = traffic.policies(manifests, service.namespace, labels, "Ingress") if labels else []
    refusing = {
        "Egress": (leaving, traffic.lets_through(manifests, leaving, "Egress", Peer(service.namespace, labels), to)),
        "Ingress": (
            entering,
            traffic.lets_through(manifests, entering, "Ingress", Peer(pod.namespace, pod.labels), to),
        ),
    }
    for direction, (restricting, answer) in refusing.items():
        if answer is False:
            inside = manifests.emits(restricting[0])
            names = ", ".join(one.name for one in restricting)
            verb = "lets nothing out" if direction == "Egress" else "lets nothing in"
            yield Found(
                restricting[0] if inside else pod.owner,
                f"spec.{direction.lower()}" if inside else "",
                f"the pods of {pod.owner} call {service} ({mention.path} of {mention.item.kind} {mention.item.name}), "
                f"but NetworkPolicy {names} {verb} from namespace {pod.namespace} to {service.namespace} on port "
                f"{to.number or to.name}",
                f"allow port {to.number or to.name} between the two namespaces",
            )


def _to_dns(manifests: Manifests) -> Iterator[Found]:
    for pod in manifests.pods:
        restricting = traffic.policies(manifests, pod.namespace, pod.labels, "Egress")
        rules = [rule for policy in restricting for rule in sequence(policy.spec.get("egress"))]
        answer = traffic.lets_through(manifests, restricting, "Egress", _DNS, Port(53, "dns", "UDP"))
        # A pod that is let out to nothing at all calls nobody, and needs no names.
        if rules and answer is False and manifests.emits(restricting[0]):
            yield Found(
                restricting[0],
                "spec.egress",
                f"the pods of {pod.owner} may connect to others, but not to the cluster's DNS: they resolve no name",
                "allow UDP and TCP port 53 to the namespace kube-system",
            )

"""What network policies let through, as far as manifests can tell: yes, no, or unknown (None)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.checks.manifests import Manifests, Object, mapping, selects, sequence, string

Answer = bool | None

_EVERY_ADDRESS = {"0.0.0.0/0", "::/0"}
_NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Peer:
    """The other side of a connection.

    Attributes:
        namespace: Its namespace.
        labels: Its pod's labels, or None where they are not known.
    """

    namespace: str
    labels: Mapping[str, Any] | None


@dataclass(frozen=True)
class Port:
    """A port of the pod that is connected to.

    Attributes:
        number: Its number, or None where it is not known.
        name: Its name, or None where it is not known.
    """

    number: int | None
    name: str | None
    protocol: str = "TCP"


def policies(manifests: Manifests, namespace: str, labels: Mapping[str, Any], direction: str) -> list[Object]:
    """Gives the policies that restrict a pod's traffic in a direction (``Ingress``, ``Egress``)."""
    return [
        item
        for item in manifests.everywhere("NetworkPolicy")
        if item.namespace == namespace and direction in _types(item) and selects(item.spec.get("podSelector"), labels)
    ]


def _types(policy: Object) -> Sequence[Any]:
    types = sequence(policy.spec.get("policyTypes"))
    return types or (["Ingress", "Egress"] if policy.spec.get("egress") else ["Ingress"])


def lets_through(manifests: Manifests, restricting: Sequence[Object], direction: str, peer: Peer, port: Port) -> Answer:
    """Says whether the policies together let a connection through. Without any policy everything passes."""
    if not restricting:
        return True
    field, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return _any(
        _all(
            (
                _ports(sequence(rule.get("ports")), port),
                _peers(manifests, policy, sequence(rule.get(side)), peer),
            )
        )
        for policy in restricting
        for rule in map(mapping, sequence(policy.spec.get(field)))
    )


def _any(answers: Iterable[Answer]) -> Answer:
    seen = list(answers)
    return True if True in seen else None if None in seen else False


def _all(answers: Iterable[Answer]) -> Answer:
    seen = list(answers)
    return False if False in seen else None if None in seen else True


def _ports(ports: Sequence[Any], port: Port) -> Answer:
    if not ports:
        return True
    return _any(_port(mapping(one), port) for one in ports)


def _port(one: Mapping[str, Any], port: Port) -> Answer:
    if one.get("protocol", "TCP") != port.protocol:
        return False
    wanted = one.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str) and not wanted.isdigit():
        return wanted == port.name if port.name is not None else None
    if port.number is None or not isinstance(wanted, int | str):
        return None
    end = one.get("endPort")
    return int(wanted) <= port.number <= (end if isinstance(end, int) else int(wanted))


def _peers(manifests: Manifests, policy: Object, peers: Sequence[Any], peer: Peer) -> Answer:
    if not peers:
        return True
    return _any(_peer(manifests, policy, mapping(one), peer) for one in peers)


def _peer(manifests: Manifests, policy: Object, one: Mapping[str, Any], peer: Peer) -> Answer:
    block = mapping(one.get("ipBlock"))
    if block:
        return True if string(block.get("cidr")) in _EVERY_ADDRESS and not block.get("except") else None
    answers: list[Answer] = []
    if "namespaceSelector" in one:
        answers.append(_namespace(manifests, mapping(one["namespaceSelector"]), peer.namespace))
    else:
        answers.append(peer.namespace == policy.namespace)
    if "podSelector" in one:
        selector = mapping(one["podSelector"])
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            answers.append(True)
        else:
            answers.append(None if peer.labels is None else selects(selector, peer.labels))
    return _all(answers)


def _namespace(manifests: Manifests, selector: Mapping[str, Any], namespace: str) -> Answer:
    keys = {*mapping(selector.get("matchLabels"))}
    keys |= {string(mapping(one).get("key")) for one in sequence(selector.get("matchExpressions"))}
    if keys - {_NAME_LABEL} and manifests.find("Namespace", "", namespace) is None:
        return None  # the labels of a namespace that is not in the set are not known
    return selects(selector, manifests.namespace_labels(namespace))

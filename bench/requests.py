"""Counts the requests of a deploy, beside what they should be."""

from __future__ import annotations

from collections import Counter

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.kube import Client, Tried
from aphiria_deploy.objects import GroupKind
from tests.e2e.engine import Cluster, preview

_VERBS = ("list", "get", "watch", "log", "dry run", "apply", "create", "replace", "delete")


def main(cluster: Cluster, bundle: Bundle) -> None:
    """Prints the counts of a first deploy, of one that changes nothing, and of a changed image."""
    objects, kinds = len(bundle.manifests), len({GroupKind.of(item) for item in bundle.manifests})
    print(f"requests, {objects} objects of {kinds} kinds and {len(bundle.secrets)} Secrets:")
    changed = preview(bundle.environment.number, web="c")
    for what, wanted in (("first deploy", bundle), ("no-op", bundle), ("one image changed", changed)):
        counted, connections = count(cluster, wanted)
        verbs = ", ".join(f"{counted[verb]} {verb}" for verb in _VERBS if counted[verb])
        print(f"  {what}: {counted.total()} on {connections} connections: {verbs}")


def count(cluster: Cluster, bundle: Bundle) -> tuple[Counter[str], int]:
    """Deploys a bundle, and gives how many requests of each verb and how many connections that took."""
    made: list[Tried] = []
    with Client(cluster.client.access, observe=made.append) as client:
        report = cluster.deploy(bundle, client=client)
        assert report.result in {"deployed", "unchanged"}, report.error
        return Counter(map(_verb, made)), client.connections


def _verb(tried: Tried) -> str:
    path, _, query = tried.target.partition("?")
    match tried.method:
        case "GET" if "watch=true" in query:
            return "watch"
        case "GET" if path.endswith("/log"):
            return "log"
        case "GET" if "limit=" in query:
            return "list"
        case "PATCH":
            return "dry run" if "dryRun=All" in query else "apply"
    return {"GET": "get", "POST": "create", "PUT": "replace", "DELETE": "delete"}[tried.method]

"""What the site makes of its environments, each made once."""

from __future__ import annotations

from functools import cache

from aphiria_deploy.bundle import Bundle
from apps import site
from tests.objects import Object, pod_spec, pod_template

ENVIRONMENTS = ("local", "preview-base", "pr-107", "production")
WITH_SITE = ("local", "pr-107", "production")
DIGEST = "sha256:" + "0123456789abcdef" * 4


@cache
def bundle(environment: str) -> Bundle:
    """An environment's bundle, with the images that stand for those that nobody chose."""
    return site.bundle(environment, {})


def objects(environment: str) -> list[Object]:
    """An environment's objects, in the order in which they are applied."""
    return bundle(environment).manifests


def pods(environment: str) -> dict[str, Object]:
    """The specs of an environment's pods, by the `app` of what makes them."""
    makers = [item for item in objects(environment) if pod_template(item)]
    return {item["metadata"]["labels"]["app"]: pod_spec(item) for item in makers}


def containers(environment: str) -> dict[str, Object]:
    """An environment's containers, init containers included, as `app/container`."""
    return {
        f"{app}/{part['name']}": part
        for app, spec in pods(environment).items()
        for part in [*spec.get("initContainers", []), *spec["containers"]]
    }

"""What pods run, by the forms in which runtimes say it; each case says which of its containers are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from aphiria_deploy.engine.running_images import planned_images, wrong_images
from aphiria_deploy.errors import InputError, RegistryUnavailableError
from aphiria_deploy.registry import ImageContent, PlatformImage
from tests.aphiria_deploy.cases import cases
from tests.aphiria_deploy.samples import config_map

Case = dict[str, Any]

INDEX, MANIFEST, CONFIG, OTHER = (f"sha256:{letter * 64}" for letter in "abcd")
DIGESTS = {"INDEX": INDEX, "MANIFEST": MANIFEST, "CONFIG": CONFIG, "OTHER": OTHER}
PLATFORMS = (PlatformImage("linux/amd64", MANIFEST, CONFIG, None),)


def spelt(text: str) -> str:
    """A text of a case, with the digests that its words stand for."""
    for word, digest in DIGESTS.items():
        text = text.replace(f"HEX-{word}", digest.removeprefix("sha256:")).replace(word, digest)
    return text


class Registry:
    """Knows the index, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, refs: Sequence[str]) -> dict[str, frozenset[str]]:
        self.asked.append(list(refs))
        content = ImageContent("", INDEX, frozenset({INDEX, MANIFEST, CONFIG}), PLATFORMS)
        return dict.fromkeys(refs, content.digests)


def pod(case: Case) -> dict[str, Any]:
    """A pod of a case: its containers by list, each with its image and what is said of it."""
    metadata = {"name": "api-1", "namespace": "preview-pr-7", **case.get("metadata", {})}
    item: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": {}}
    item["status"]["phase"] = case.get("phase", "Running")
    for kind, statuses in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        containers = case.get(kind, {})
        item["spec"][kind] = [{"name": name, "image": spelt(one["image"])} for name, one in containers.items()]
        item["status"][statuses] = [
            {"name": name, "imageID": spelt(one.get("imageID", "")), "state": one.get("state", {"running": {}})}
            | {"lastState": one.get("lastState", {})}
            for name, one in containers.items()
            if one.get("status", True)
        ]
    return item


@pytest.mark.parametrize("case", cases("running_images"))
def test_a_container_is_wrong_when_its_image_is_none_of_the_planned_ones_names(case: Case) -> None:
    registry = Registry()
    planned = {name: spelt(ref) for name, ref in case["planned"].items()}
    wrong = wrong_images([pod(one) for one in case["pods"]], planned, registry)
    assert [(one.container, one.found) for one in wrong] == [(name, spelt(text)) for name, text in case["wrong"]]
    assert registry.asked == [[spelt(ref) for ref in refs] for refs in case["asked"]]


def test_a_wrong_image_is_told_with_its_pod_what_was_found_and_what_was_expected() -> None:
    case = {"containers": {"php": {"image": "r/php:1", "imageID": "r/php@OTHER"}}}
    [wrong] = wrong_images([pod(case)], {"php": f"r.io/php@{INDEX}"}, Registry())
    assert str(wrong) == (f"Pod preview-pr-7/api-1: container php: found r/php@{OTHER}, expected r.io/php@{INDEX}")


def test_a_registry_that_does_not_answer_leaves_nothing_unsaid() -> None:
    def down(_: Sequence[str]) -> dict[str, frozenset[str]]:
        raise RegistryUnavailableError("no answer")

    case = {"containers": {"php": {"image": "r/php:1", "imageID": "r/php@MANIFEST"}}}
    with pytest.raises(RegistryUnavailableError):
        wrong_images([pod(case)], {"php": f"r.io/php@{INDEX}"}, down)


def test_a_planned_digest_that_was_cut_is_refused() -> None:
    case = {"containers": {"php": {"image": "r/php:1", "imageID": "r/php@MANIFEST"}}}
    with pytest.raises(InputError, match=r"Pod preview-pr-7/api-1: container php: found 'r\.io/php@sha256:abc'"):
        wrong_images([pod(case)], {"php": "r.io/php@sha256:abc"}, Registry())


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", ()),
        ("Deployment", ("template",)),
        ("Job", ("template",)),
        ("CronJob", ("jobTemplate", "spec", "template")),
    ],
)
def test_the_planned_images_are_those_of_the_pods_that_a_workload_makes(kind: str, path: tuple[str, ...]) -> None:
    spec: Any = {
        "initContainers": [{"name": "copy", "image": "r/api@x"}],
        "containers": [{"name": "php", "image": "r/php@x"}, {"name": "nginx", "image": "r/nginx@x"}],
    }
    for key in reversed(path):
        spec = {key: {"spec": spec}} if key == "template" else {key: spec}
    assert planned_images({"kind": kind, "spec": spec}) == {"copy": "r/api@x", "php": "r/php@x", "nginx": "r/nginx@x"}


def test_what_makes_no_pods_has_no_images() -> None:
    assert planned_images(config_map("a", {"containers": "x"})) == {}

"""The picture of an environment: what is in it, where, and whether it can be read."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.bundle import Bundle, Environment, EnvironmentKind, ManifestFile
from aphiria_deploy.graph import picture
from aphiria_deploy.graph.layout import LONGEST, Arrangement, Box, arrange, cut
from aphiria_deploy.graph.model import Edge, Leads, Network, Node, Sort, network
from aphiria_deploy.objects import GroupKind, ObjectKey
from apps import site
from tests.aphiria_deploy.samples import make_bundle
from tests.runtime import browser

SVG = "{http://www.w3.org/2000/svg}"
ENVIRONMENTS = ["local", "preview-base", "pr-107", "production"]


@cache
def bundle_of(environment: str) -> Bundle:
    return site.bundle(environment, {})


def made_of(*manifests: dict[str, Any]) -> Bundle:
    return make_bundle(
        environment=Environment(name="pr-7", kind=EnvironmentKind.PREVIEW, namespace="shop"),
        files=[ManifestFile(name="10-base", manifests=list(manifests))],
        base=[],
        secrets=[],
    )


def named(kind: str, name: str, api_version: str = "v1", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}} | rest


def workload(name: str, **environment: str) -> dict[str, Any]:
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    container = {"name": "main", "image": "site/web:1", "env": variables}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return named("Deployment", name, "apps/v1", spec={"template": template})


def service(name: str) -> dict[str, Any]:
    return named("Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})


def leads(bundle: Bundle) -> set[tuple[str, str, str]]:
    return {(str(edge.source), edge.leads.value, str(edge.target)) for edge in network(bundle).edges}


def short(name: str) -> str:
    """A name without the hash of what a Job runs."""
    return re.sub(r"-[0-9a-f]{10}$", "-HASH", name)


# What is in it


def test_a_preview_shows_how_requests_reach_it_what_runs_and_what_that_uses() -> None:
    place = "preview-pr-107"
    gateway, web, api = "Gateway nginx-gateway/nginx-gateway", f"Deployment {place}/web", f"Deployment {place}/api"
    migration, database = f"Job {place}/db-migration-HASH", "Job default/db-init-pr-107-HASH"
    assert {tuple(map(short, edge)) for edge in leads(bundle_of("pr-107"))} == {
        ("Host 107.pr.aphiria.com", "requests", gateway),
        ("Host 107.pr-api.aphiria.com", "requests", gateway),
        (gateway, "requests", f"HTTPRoute {place}/web"),
        (gateway, "requests", f"HTTPRoute {place}/api"),
        (f"HTTPRoute {place}/web", "requests", f"Service {place}/web"),
        (f"HTTPRoute {place}/api", "requests", f"Service {place}/api"),
        (f"Service {place}/web", "requests", web),
        (f"Service {place}/api", "requests", api),
        (api, "waits for", migration),
        (migration, "waits for", database),
        *((source, "requests", "Service default/db") for source in (api, migration, database)),
        (web, "uses", f"ConfigMap {place}/js-config"),
        (api, "uses", f"ConfigMap {place}/api-nginx-config"),
        (api, "uses", f"ConfigMap {place}/api-php-config"),
        *((source, "uses", f"ConfigMap {place}/env-vars") for source in (api, migration)),
        *((source, "uses", f"Secret {place}/env-var-secrets") for source in (api, migration)),
        *((source, "uses", f"Secret {place}/ghcr-pull-secret") for source in (web, api, migration)),
        (database, "uses", "Secret default/db-admin"),
        (database, "uses", "Secret default/db-role-pr-107"),
    }


def test_what_is_not_the_environments_own_is_beside_it() -> None:
    beside = {str(node.key) for node in network(bundle_of("pr-107")).nodes.values() if node.beside}
    assert beside == {"Gateway nginx-gateway/nginx-gateway", "Service default/db", "Secret default/db-admin"}
    assert not [node for node in network(bundle_of("production")).nodes.values() if node.beside]


def test_production_shows_its_database_and_the_backup() -> None:
    found = {tuple(map(short, edge)) for edge in leads(bundle_of("production"))}
    assert {
        ("Service default/db", "requests", "Deployment default/db"),
        ("Deployment default/db", "uses", "PersistentVolumeClaim default/db-pv-claim"),
        ("CronJob default/db-backup", "requests", "Service default/db"),
        ("CronJob default/db-backup", "uses", "Secret default/db-backup"),
    } <= found


def test_a_base_without_a_site_shows_the_hosts_that_its_gateway_takes() -> None:
    found = leads(bundle_of("preview-base"))
    hosts = {source for source, _, target in found if target == "Gateway nginx-gateway/nginx-gateway"}
    assert hosts == {"Host *.pr.aphiria.com", "Host *.pr-api.aphiria.com"}


def test_a_workload_does_not_ask_itself() -> None:
    bundle = made_of(workload("web", OWN_URL="http://web.shop.svc.cluster.local", API_HOST="api"), service("web"))
    assert leads(bundle) == {("Service shop/web", "requests", "Deployment shop/web")}


# Whether it can be read


def separate(boxes: Sequence[Box]) -> bool:
    return not any(
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
        for one, other in combinations(boxes, 2)
    )


def check_places(arrangement: Arrangement) -> None:
    nodes = [box for _, box in arrangement.nodes]
    assert separate(nodes)
    assert separate([box for _, box in arrangement.lanes])
    for node, box in arrangement.nodes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= arrangement.width
        assert box.y + box.height <= arrangement.height
        if node.sort is not Sort.HOST:
            lane = dict(arrangement.lanes)[node.key.namespace]
            assert lane.x < box.x
            assert lane.y < box.y
            assert box.x + box.width < lane.x + lane.width
            assert box.y + box.height < lane.y + lane.height
            assert lane.x + lane.width <= arrangement.width


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_covers_anything_and_every_object_is_in_its_namespace(environment: str) -> None:
    bundle = bundle_of(environment)
    arrangement = arrange(network(bundle), bundle.environment.namespace)
    assert [node.key for node, _ in arrangement.nodes] == list(network(bundle).nodes)
    check_places(arrangement)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_requests_go_from_left_to_right(environment: str) -> None:
    bundle = bundle_of(environment)
    for edge, points in arrange(network(bundle), bundle.environment.namespace).edges:
        if edge.leads is not Leads.WAITS:
            assert [x for x, _ in points] == sorted(x for x, _ in points), edge


# Which texts cover each other, and which leave their box, by what the browser has drawn.
MEASURE = """
const texts = [...document.querySelectorAll("text")].map(text => ({text, box: text.getBoundingClientRect()}));
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const found = [];
texts.forEach((one, number) => {
    for (const other of texts.slice(number + 1))
        if (meet(one.box, other.box)) found.push([one.text.textContent, other.text.textContent]);
    const around = [...one.text.parentNode.children].find(child => child.matches("rect.node"));
    if (one.text.parentNode.nodeName === "g" && around) {
        const box = around.getBoundingClientRect(), inner = one.box;
        if (inner.left < box.left || inner.right > box.right || inner.top < box.top || inner.bottom > box.bottom)
            found.push([one.text.textContent, "its box"]);
    }
});
const pre = document.createElement("pre");
pre.textContent = JSON.stringify({texts: texts.length, found});
document.body.append(pre);
"""


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_text_covers_another_or_leaves_its_box_in_a_browser(environment: str, tmp_path: Path) -> None:
    bundle = bundle_of(environment)
    states = dict.fromkeys(map(ObjectKey.of, bundle.manifests), "waiting")
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body>{picture(bundle, states)}<script type="module">{MEASURE}</script>',
        encoding="utf-8",
    )
    document = browser.dom(page.as_uri(), tmp_path / "profile")
    measured = json.loads(html.unescape(document.rpartition("<pre>")[2].partition("</pre>")[0]))
    assert measured["texts"] > len(network(bundle).nodes)
    assert measured["found"] == []


SORTS = st.sampled_from(list(Sort))


@given(st.lists(st.tuples(SORTS, st.sampled_from("abc")), max_size=14), st.data())
def test_whatever_is_in_it_it_can_be_arranged(things: list[tuple[Sort, str]], data: st.DataObject) -> None:
    keys = [ObjectKey(GroupKind("", sort.value), lane, f"n{number}") for number, (sort, lane) in enumerate(things)]
    nodes = {key: Node(key, sort, "", beside=False) for key, (sort, _) in zip(keys, things, strict=True)}
    pairs = st.tuples(st.sampled_from(keys), st.sampled_from(keys)) if keys else st.nothing()
    drawn = data.draw(st.lists(pairs, max_size=25, unique=True)) if keys else []
    # To hosts nothing leads; everything else may lead anywhere, also round and round.
    hosts = {key for key, node in nodes.items() if node.sort is Sort.HOST}
    edges = [Edge(source, target, Leads.REQUESTS) for source, target in drawn if target not in hosts | {source}]
    arrangement = arrange(Network(nodes, edges), "a")
    assert len(arrangement.nodes) == len(nodes)
    assert len(arrangement.edges) == len(edges)
    check_places(arrangement)


def test_those_that_ask_each_other_are_arranged_too() -> None:
    bundle = made_of(
        workload("a", B_URL="http://b"), service("a"), workload("b", A_URL="http://a.shop.svc"), service("b")
    )
    assert len(leads(bundle)) == 4
    check_places(arrange(network(bundle), "shop"))


def test_an_environment_of_nothing_is_a_picture_of_nothing() -> None:
    root = ElementTree.fromstring(picture(made_of()))
    assert root.find(f"{SVG}title") is not None


def test_a_long_name_is_cut_in_its_middle() -> None:
    name = f"db-migration-{'x' * 50}-0123456789"
    assert len(cut(name)) == LONGEST
    assert (cut(name)[:5], cut(name)[-10:]) == ("db-mi", "0123456789")
    svg = picture(made_of(named("Service", name)))
    assert cut(name) in svg
    assert f"Service shop/{name}" in svg, "who points at it reads all of it"


# As a document


def texts(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def test_it_says_what_it_is_to_those_who_do_not_see_it() -> None:
    bundle = bundle_of("pr-107")
    root = ElementTree.fromstring(picture(bundle))
    assert root.get("role") == "img"
    labels = (root.get("aria-labelledby") or "").split()
    said = [element.text for element in root if element.get("id") in labels]
    assert said[0] == "aphiria.com: pr-107"
    assert "2 Deployment, 1 Gateway, 2 HTTPRoute, 2 Host, 2 Job" in (said[1] or "")
    assert "namespace preview-pr-107" in texts(root)
    titles = {title.text for title in root.iter(f"{SVG}title")}
    assert f"HTTPRoute preview-pr-107/web, {bundle.urls['web'].removeprefix('https://')}" in titles
    assert "Deployment preview-pr-107/web uses ConfigMap preview-pr-107/js-config" in titles


def test_the_same_bundle_is_the_same_picture() -> None:
    bundle = bundle_of("production")
    assert picture(bundle) == picture(site.bundle("production", {}))


HOSTILE = "</text><script>alert(1)</script><a href=\"javascript:1\" onload='x'>&amp;]]>\x00\x1b"


def test_no_name_becomes_markup() -> None:
    bundle = made_of(named("Service", HOSTILE, spec={"ports": [{"port": HOSTILE}]}), workload("web"))
    key = ObjectKey(GroupKind("", "Service"), "shop", HOSTILE)
    root = ElementTree.fromstring(picture(bundle, {key: f"{HOSTILE}\ud800"}).encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        *"svg title desc style defs marker path rect g text".split()
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    readable = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert any(f"Service shop/{readable}" in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_states_are_told_by_a_word_a_sign_and_a_colour() -> None:
    manifests = [workload(name) for name in ("a", "b", "c", "d", "e")]
    states = dict(zip(map(ObjectKey.of, manifests), ("ready", "waiting", "failed", "missing"), strict=False))
    root = ElementTree.fromstring(picture(made_of(*manifests), states))
    shown = {text.text: text.get("style") for text in root.iter(f"{SVG}text") if text.get("text-anchor") == "end"}
    assert shown == {
        "✓ ready": "fill: var(--ready)",
        "… waiting": "fill: var(--waiting)",
        "✕ failed": "fill: var(--failed)",
        "missing": None,
    }
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert "Deployment shop/c, 1 replica: failed" in titles
    assert "Deployment shop/e, 1 replica" in titles
    description = root.find(f"{SVG}desc")
    assert description is not None
    assert (description.text or "").endswith("; 1 failed, 1 missing, 1 ready, 1 waiting")


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_texts_can_be_read_in_the_light_and_in_the_dark() -> None:
    # https://www.w3.org/TR/WCAG22/#contrast-minimum
    style = ElementTree.fromstring(picture(made_of())).find(f"{SVG}style")
    assert style is not None
    light, dark = (style.text or "").split("@media")
    for part in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part))
        for text in ("text", "small", "ready", "waiting", "failed"):
            for ground in ("ground", "lane", "node"):
                one, other = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
                assert (one + 0.05) / (other + 0.05) >= 4.5, (text, ground)

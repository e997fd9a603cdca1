"""Rules about configuration: what the site's code is told, and when it hears of a change."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from constructs_lib.checks.manifests import LONG_RUNNING, Manifests, Object, Pod, mapping, string
from constructs_lib.checks.model import PREVIEW, CookieDomain, Severity
from constructs_lib.checks.registry import Found, rule
from constructs_lib.checks.routing import hostnames, hosts_meet
from constructs_lib.checks.schema import join
from constructs_lib.checks.uses import Use, uses

_CHECKSUM = {"ConfigMap": "checksum/config", "Secret": "checksum/secret"}
_URL = re.compile(r"https?://[^\s'\"`<>\\)\]},;]+")


@rule(
    "env-contract",
    summary="a ConfigMap lacks a key that the site's code requires",
    why="The API lacked `APP_WEB_URL`, because the preview called it `WEB_URL`: every browser call failed on CORS.",
)
def env_contract(manifests: Manifests) -> Iterator[Found]:
    """Finds required keys that are missing or empty."""
    namespace = manifests.context.namespace
    for promise in manifests.context.contract.environment_variables:
        item = manifests.find("ConfigMap", namespace, promise.config_map)
        if item is None:
            yield from _absent(manifests, promise.config_map, f"the site's code requires {', '.join(promise.required)}")
            continue
        data = mapping(item.data.get("data"))
        for key in promise.required:
            if data.get(key) not in (None, ""):
                continue
            close = [name for name in data if name.endswith(key) or key.endswith(name)]
            close = close or difflib.get_close_matches(
                key, [name for name in data if name not in promise.required], n=1
            )
            said = "is empty" if key in data else "is missing"
            hint = f"add it; {close[0]} is there, but is not what the code reads" if close else "add it"
            yield Found(item, join("data", key), f"{key} {said}, which the site's code requires", hint)


def _absent(manifests: Manifests, name: str, why: str) -> Iterator[Found]:
    """Reports a ConfigMap that is not there, at the object that is nearest to it."""
    namespace = manifests.context.namespace
    place = manifests.find("Namespace", "", namespace)
    candidates = [item for item in manifests.objects if item is place or item.namespace == namespace]
    if candidates:
        users = [pod.owner for pod in manifests.pods_in(namespace)]
        item = (users or candidates)[0]
        yield Found(
            item,
            "",
            f"ConfigMap {name} is not in namespace {namespace}; {why}",
            f"add the ConfigMap {name}, and let the pods use it",
        )


@rule(
    "api-url",
    summary="the front end is told another API URL than the one of this environment's API route",
    why="The preview's front end had no configuration of its own and called production's API.",
)
def api_url(manifests: Manifests) -> Iterator[Found]:
    """Compares what the front end is told with the route that answers."""
    promise = manifests.context.contract.api_url
    if promise is None:
        return
    namespace = manifests.context.namespace
    host = urlsplit(promise.url).hostname or ""
    item = manifests.find("ConfigMap", namespace, promise.config_map)
    if item is None:
        yield from _absent(manifests, promise.config_map, f"the front end reads the API's URL {promise.url} from it")
    else:
        yield from _told(item, promise.key, promise.url)
        yield from _unread(manifests, item)
    route = manifests.find("HTTPRoute", namespace, promise.route)
    if route is not None:
        hosts = hostnames(route)
        if hosts and not any(hosts_meet(one, host) for one in hosts):
            yield Found(
                route,
                "spec.hostnames",
                f"the front end is told that the API is at {promise.url}, but the route {promise.route} answers for "
                f"{', '.join(hosts)}",
                f"add {host} to the route's hostnames, or tell the front end one of them",
            )
    else:
        yield from (
            Found(
                found,
                "",
                f"there is no HTTPRoute {promise.route} in namespace {namespace} to answer at {promise.url}",
                f"add the HTTPRoute {promise.route} with the hostname {host}",
            )
            for found in ([item] if item is not None else [])
        )


def _told(item: Object, key: str, url: str) -> Iterator[Found]:
    text = string(mapping(item.data.get("data")).get(key))
    # Escaped for JavaScript, a slash may be \/ or \u002f.
    plain = text.replace("\\/", "/").replace("\\u002f", "/").replace("\\u002F", "/").replace("\\x2f", "/")
    urls = [one.rstrip("/") for one in _URL.findall(plain)]
    if url.rstrip("/") not in urls:
        yield Found(
            item,
            join("data", key),
            f"found {', '.join(urls) or 'no URL'}, expected this environment's API {url}",
            f"put {url} into {key}",
        )


def _unread(manifests: Manifests, item: Object) -> Iterator[Found]:
    """Finds the ConfigMap that nobody reads: then the front end keeps what was built into it."""
    used = {(use.kind, use.name) for pod in manifests.pods_in(item.namespace) for use in uses(pod)}
    if manifests.emits(item) and ("ConfigMap", item.name) not in used:
        yield Found(
            item,
            "metadata.name",
            f"no pod uses the ConfigMap {item.name}: the front end keeps the API URL that was built into it",
            "mount it into the front end's container, or load it into its environment",
        )


@rule(
    "cookie-domain",
    summary="a host is told to set cookies for a domain that is not above it",
    why="An API at `N.pr-api…` was told to set cookies for `.pr…`, which no browser accepts, and previews, which run "
    "unreviewed code, stood under production's cookie domain.",
)
def cookie_domain(manifests: Manifests) -> Iterator[Found]:
    """Finds cookie domains that browsers refuse, or that reach too far."""
    contract = manifests.context.contract
    for one in contract.cookie_domains:
        item, path = _says(manifests, one)
        if item is None:
            continue
        domain = one.domain.lstrip(".").lower()
        for host in one.hosts:
            if host.lower() != domain and not host.lower().endswith(f".{domain}"):
                yield Found(
                    item,
                    path,
                    f"{host} is told to set cookies for {one.domain}; a browser accepts that only from {domain} and "
                    "from hosts below it",
                    f"put {host} below {domain}, or use the domain above all of {', '.join(one.hosts)}",
                )
        above = (contract.production_cookie_domain or "").lstrip(".").lower()
        if manifests.context.environment == PREVIEW and above and (domain == above or domain.endswith(f".{above}")):
            yield Found(
                item,
                path,
                f"the preview's cookie domain {one.domain} is production's, or below it ({above}): production's "
                "cookies reach code that nobody has reviewed",
                "give previews a domain of their own",
                Severity.WARNING,
            )


def _says(manifests: Manifests, domain: CookieDomain) -> tuple[Object | None, str]:
    """Gives the ConfigMap, and the key in it, that tells the domain; else the Namespace, or any object."""
    namespace = manifests.context.namespace
    for item in manifests.of("ConfigMap"):
        for key, value in mapping(item.data.get("data")).items():
            if item.namespace == namespace and domain.domain in string(value):
                return item, join("data", key)
    place = manifests.find("Namespace", "", namespace)
    return (place if manifests.emits(place) else next(iter(manifests.objects), None)), ""


@rule(
    "config-restart",
    summary="a pod uses a ConfigMap of the set, and its template does not change when the data changes",
    why="Pods kept their old configuration after a ConfigMap had changed, until somebody restarted them by hand.",
)
def config_restart(manifests: Manifests) -> Iterator[Found]:
    """Finds templates without a checksum of what they use. That of an engine's Secret is added at the deploy."""
    for pod in manifests.pods:
        if pod.owner.kind not in LONG_RUNNING:
            continue
        reported: set[str] = set()
        for use in uses(pod):
            item = manifests.find(use.kind, pod.namespace, use.name)
            if use.kind not in _CHECKSUM or use.kind in reported or item is None or not manifests.emits(item):
                continue
            if item.data.get("immutable") is not True and _is_stale(manifests, pod, use):
                reported.add(use.kind)
                note = _CHECKSUM[use.kind]
                yield Found(
                    pod.owner,
                    f"{pod.path}.metadata.annotations",
                    f"the pods use {use.kind} {use.name}, but the template has no annotation {note}: when the data "
                    "changes, running pods keep the old one",
                    f"set {note} on the pod template to a hash of the data",
                    None if manifests.closed else Severity.WARNING,
                )


def _is_stale(manifests: Manifests, pod: Pod, use: Use) -> bool:
    if manifests.closed:
        return not pod.annotations.get(_CHECKSUM[use.kind])
    return use.frozen and not _changes(pod, use.name)


_HASHED_NAME = re.compile(r"-(?:[0-9a-f]{8,}|[bcdfghkmt2456789]{10})$")


def _changes(pod: Pod, name: str) -> bool:
    """Says whether something makes the pods follow the data: an annotation, a controller, a hash in the name."""
    notes = [*map(str, pod.annotations), *map(str, pod.owner.annotations)]
    followed = any(
        word in note.lower() for note in notes for word in ("checksum", "hash", "sha256", "reload", "timestamp")
    )
    return followed or bool(_HASHED_NAME.search(name))

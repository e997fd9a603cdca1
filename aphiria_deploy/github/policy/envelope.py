"""What a bundle says beside its manifests: which environment, Secrets, checks, and how it is destroyed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from aphiria_deploy.bundle import (
    Bundle,
    Constant,
    CorsCheck,
    EnvironmentKind,
    Generated,
    RedirectCheck,
    SecretSpec,
)
from aphiria_deploy.errors import InputError
from aphiria_deploy.github.difference import same
from aphiria_deploy.github.policy.violation import Violation, shown
from aphiria_deploy.registry.reference import Reference

_FILE = re.compile(r"[0-9]{2}-[a-z][a-z-]{0,30}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def envelope_violations(bundle: Bundle, reference: Bundle) -> Iterator[Violation]:
    """Gives what a bundle's other parts may not hold.

    Args:
        bundle: The preview's.
        reference: The main branch's, of the same environment.
    """
    if reference.environment.kind is not EnvironmentKind.PREVIEW:
        yield Violation("environment", shown(reference.environment.name), "a preview: this policy is for no other")
    # What is recorded, destroyed or asked for in the cluster by these has to be the preview's own.
    for part in ("site", "environment", "base", "urls", "outputs", "destruction"):
        yield from _same(part, getattr(bundle, part), getattr(reference, part))
    yield from _contract(bundle, reference)
    yield from _secrets(bundle, reference)
    yield from _images(bundle, reference)
    yield from _checks(bundle, reference)
    for number, file in enumerate(bundle.files):
        if not _FILE.fullmatch(file.name):
            yield Violation(f"files[{number}].name", shown(file.name), "a name such as 10-base")


def own_hosts(reference: Bundle) -> frozenset[str]:
    """The hosts that are the preview's own."""
    return frozenset(host for url in reference.urls.values() if (host := urlsplit(url).hostname))


def _same(part: str, found: Any, wanted: Any) -> Iterator[Violation]:
    if not same(found, wanted):
        yield Violation(
            part,
            shown(msgspec.to_builtins(found)),
            f"what the main branch makes of it, {shown(msgspec.to_builtins(wanted))}",
        )


def _contract(bundle: Bundle, reference: Bundle) -> Iterator[Violation]:
    # The rest is between the site's code and its manifests, and a pull request may change both.
    for part in ("production_cookie_domain", "private_registries", "previews", "cluster_cidrs"):
        yield from _same(f"contract.{part}", getattr(bundle.contract, part), getattr(reference.contract, part))


def _secrets(bundle: Bundle, reference: Bundle) -> Iterator[Violation]:
    seen: set[tuple[str, str]] = set()
    for spec in bundle.secrets:
        where = f"secrets: {spec.namespace}/{spec.name}"
        if (spec.namespace, spec.name) in seen:
            yield Violation(where, "it twice", "each Secret once")
        seen.add((spec.namespace, spec.name))
        if spec in reference.secrets or _is_its_own(spec, reference):
            continue
        yield Violation(
            where,
            shown(msgspec.to_builtins(spec)),
            "a Secret that the main branch has, or an Opaque one in the preview's namespace whose values are generated",
        )
    # Without one of them a pod would start with what is left of an earlier deploy.
    for spec in reference.secrets:
        if spec.namespace != reference.environment.namespace and (spec.namespace, spec.name) not in seen:
            yield Violation("secrets", "no such Secret", f"{spec.namespace}/{spec.name}, which the main branch has")


def _is_its_own(spec: SecretSpec, reference: Bundle) -> bool:
    known = {(one.namespace, one.name) for one in reference.secrets}
    return (
        spec.namespace == reference.environment.namespace
        and (spec.namespace, spec.name) not in known
        and bool(_NAME.fullmatch(spec.name))
        and spec.type == "Opaque"
        and not spec.labels
        and all(isinstance(source, (Constant, Generated)) for source in spec.keys.values())
    )


def _images(bundle: Bundle, reference: Bundle) -> Iterator[Violation]:
    for name in bundle.sample_images:
        yield Violation(f"images.{name}", "a sample", "an image that was built")
    for name, image in bundle.images.items():
        wanted = reference.images.get(name)
        if wanted is None:
            yield Violation(f"images.{name}", shown(image.ref), f"one of {', '.join(sorted(reference.images))}")
        elif repository_of(image.ref) != repository_of(wanted.ref):
            yield Violation(
                f"images.{name}", shown(image.ref), f"an image of {repository_of(wanted.ref)}, by its digest"
            )


def repository_of(ref: str) -> str | None:
    """The repository of an image that is pinned to its digest; None where it is not, or is no reference."""
    try:
        reference = Reference.parse(ref, "image")
    except InputError:
        return None
    return f"{reference.registry}/{reference.repository}" if reference.digest else None


def _checks(bundle: Bundle, reference: Bundle) -> Iterator[Violation]:
    hosts = own_hosts(reference)
    for number, check in enumerate(bundle.checks):
        asked = [check.url]
        if isinstance(check, CorsCheck):
            asked.append(check.origin)
        if isinstance(check, RedirectCheck):
            asked.append(check.location)
        for url in asked:
            if not _is_own(url, hosts):
                yield Violation(f"checks[{number}]", shown(url), f"a URL at {' or '.join(sorted(hosts))}")


def _is_own(url: str, hosts: frozenset[str]) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # Nothing that parsers could read in two ways: user names, odd ports, backslashes, white space.
    plain = re.fullmatch(r"[!-~]+", url) is not None and not set("\\@") & set(url)
    return plain and parts.scheme in {"http", "https"} and parts.hostname in hosts and port is None

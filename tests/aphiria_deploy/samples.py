"""Small bundles, and a site that makes them without Node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aphiria_deploy.bundle import (
    Bundle,
    Check,
    Constant,
    Contract,
    CookieDomain,
    CorsCheck,
    Destruction,
    Environment,
    EnvironmentKind,
    Generated,
    Gone,
    HealthCheck,
    Image,
    ManifestFile,
    Output,
    RedirectCheck,
    RegistryLogin,
    ScramVerifier,
    SecretSpec,
    Variable,
)


def config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}


CHECKS: list[Check] = [
    HealthCheck(url="https://7.example/"),
    CorsCheck(url="https://7.example/", origin="https://8.example"),
    RedirectCheck(url="http://7.example/", location="https://7.example/"),
]


def make_bundle(**changes: Any) -> Bundle:
    """A bundle in which every type of the format occurs."""
    given: dict[str, Any] = {
        "site": "shop.example",
        "environment": Environment(
            name="pr-7", kind=EnvironmentKind.PREVIEW, namespace="preview-pr-7", number=7, stack="base"
        ),
        "files": [
            ManifestFile(name="10-base", manifests=[config_map("b", {"z": "1", "a": "é"}), config_map("a", {})]),
            ManifestFile(name="30-workloads", manifests=[config_map("c", {"n": "2"})]),
        ],
        "images": {"web": Image(ref="web:1"), "api": Image(ref="api:1", sample=True)},
        "secrets": [
            SecretSpec(
                namespace="preview-pr-7",
                name="all",
                keys={
                    "a": Constant("x"),
                    "b": Output("token"),
                    "c": Variable("TOKEN"),
                    "d": Generated(),
                    "e": ScramVerifier(namespace="n", secret="s", key="k"),
                    "f": RegistryLogin(registry="r", username="u", token="t"),
                },
                labels={"team": "a"},
            )
        ],
        "base": [config_map("base", {})],
        "urls": {"web": "https://7.example"},
        "checks": CHECKS,
        "outputs": {"webUrl": "https://7.example"},
        "contract": Contract(cookie_domains=[CookieDomain(domain=".example", hosts=["7.example"])]),
        "destruction": Destruction(jobs=[config_map("drop", {})], absent=[Gone(kind="role", name="shop_7")]),
    }
    return Bundle(**given | changes)


class SampleSite:
    """A site that knows `pr-7` and `pr-8`, and one image."""

    name = "shop.example"
    environments: Sequence[str] = ("pr-7", "pr-8")

    def bundle(self, environment: str, images: Mapping[str, str]) -> Bundle:
        """Makes the bundle of an environment that it knows."""
        if environment not in self.environments:
            raise ValueError(f"environment: found {environment!r}, expected pr-7 or pr-8")
        if images.keys() - {"web"}:
            raise ValueError(f"images: found {min(images)!r}, expected web")
        place = Environment(name=environment, kind=EnvironmentKind.PREVIEW, namespace=f"preview-{environment}")
        chosen = Image(ref=images["web"]) if images else Image(ref="web:sample", sample=True)
        return make_bundle(environment=place, images={"web": chosen})


site = SampleSite()

"""Where each environment answers, over what, and for whom."""

from __future__ import annotations

import pytest

from tests.apps.made import ENVIRONMENTS, WITH_SITE, objects
from tests.objects import names, one

SITE = ["aphiria.com", "*.aphiria.com"]
PREVIEWS = ["*.pr.aphiria.com", "*.pr-api.aphiria.com"]

LISTENERS = {
    "local": [
        ("http-root", "HTTP", 80, "aphiria.com"),
        ("http-subdomains", "HTTP", 80, "*.aphiria.com"),
        ("https-root", "HTTPS", 443, "aphiria.com"),
        ("https-subdomains", "HTTPS", 443, "*.aphiria.com"),
    ],
    "preview-base": [
        ("http-subdomains-1", "HTTP", 80, "*.pr.aphiria.com"),
        ("http-subdomains-2", "HTTP", 80, "*.pr-api.aphiria.com"),
        ("https-subdomains-1", "HTTPS", 443, "*.pr.aphiria.com"),
        ("https-subdomains-2", "HTTPS", 443, "*.pr-api.aphiria.com"),
    ],
}
LISTENERS["production"] = LISTENERS["local"]


@pytest.mark.parametrize("environment", LISTENERS)
def test_the_gateway_listens_for_these(environment: str) -> None:
    gateway = one(objects(environment), "Gateway", "nginx-gateway")

    assert gateway["metadata"]["namespace"] == "nginx-gateway"
    assert gateway["spec"]["gatewayClassName"] == "nginx"
    found = gateway["spec"]["listeners"]
    assert [(item["name"], item["protocol"], item["port"], item["hostname"]) for item in found] == LISTENERS[
        environment
    ]
    assert {item["allowedRoutes"]["namespaces"]["from"] for item in found} == {"All"}
    assert {item["tls"]["certificateRefs"][0]["name"] for item in found if "tls" in item} == {"tls-cert"}


@pytest.mark.parametrize(
    ("environment", "issuer", "hosts"),
    [
        ("local", "selfsigned-issuer", SITE),
        ("preview-base", "letsencrypt-prod", PREVIEWS),
        ("production", "letsencrypt-prod", SITE),
    ],
)
def test_the_certificate_is_for_these_hosts_and_signed_by(environment: str, issuer: str, hosts: list[str]) -> None:
    certificate = one(objects(environment), "Certificate", "tls-cert")

    assert certificate["metadata"]["namespace"] == "nginx-gateway"
    assert certificate["spec"]["secretName"] == "tls-cert"
    assert certificate["spec"]["dnsNames"] == hosts
    assert certificate["spec"]["issuerRef"]["name"] == issuer
    assert names(objects(environment), "ClusterIssuer") == [issuer]


@pytest.mark.parametrize("environment", ["preview-base", "production"])
def test_the_authority_is_shown_digitaloceans_dns(environment: str) -> None:
    acme = one(objects(environment), "ClusterIssuer")["spec"]["acme"]

    token = {"name": "digitalocean-dns-token", "key": "access-token"}
    assert acme["server"] == "https://acme-v02.api.letsencrypt.org/directory"
    assert acme["solvers"] == [{"dns01": {"digitalocean": {"tokenSecretRef": token}}}]


def test_a_developers_machine_signs_for_itself() -> None:
    assert one(objects("local"), "ClusterIssuer")["spec"] == {"selfSigned": {}}


@pytest.mark.parametrize("environment", ["preview-base", "production"])
def test_the_clients_address_survives_the_load_balancer(environment: str) -> None:
    proxy = one(objects(environment), "NginxProxy", "nginx-gateway")
    infrastructure = one(objects(environment), "Gateway")["spec"]["infrastructure"]

    assert proxy["spec"]["rewriteClientIP"]["mode"] == "ProxyProtocol"
    assert infrastructure["annotations"] == {"service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "true"}
    assert infrastructure["parametersRef"]["name"] == "nginx-gateway"


def test_a_developers_machine_has_no_load_balancer_to_trust() -> None:
    assert names(objects("local"), "NginxProxy") == []
    assert "infrastructure" not in one(objects("local"), "Gateway")["spec"]


@pytest.mark.parametrize(
    ("environment", "web", "api"),
    [
        ("local", ("www.aphiria.com", "https-subdomains"), ("api.aphiria.com", "https-subdomains")),
        ("pr-107", ("107.pr.aphiria.com", "https-subdomains-1"), ("107.pr-api.aphiria.com", "https-subdomains-2")),
        ("production", ("www.aphiria.com", "https-subdomains"), ("api.aphiria.com", "https-subdomains")),
    ],
)
def test_each_host_is_routed_from_its_listener(environment: str, web: tuple[str, str], api: tuple[str, str]) -> None:
    for name, (host, listener) in (("web", web), ("api", api)):
        spec = one(objects(environment), "HTTPRoute", name)["spec"]
        (parent,) = spec["parentRefs"]
        assert spec["hostnames"] == [host]
        assert (parent["namespace"], parent["name"], parent["sectionName"]) == (
            "nginx-gateway",
            "nginx-gateway",
            listener,
        )
        assert spec["rules"][0]["backendRefs"] == [
            {"group": "", "kind": "Service", "name": name, "port": 80, "weight": 1}
        ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_sites_answer_over_https_alone_and_http_redirects(environment: str) -> None:
    for route in (item for item in objects(environment) if item["kind"] == "HTTPRoute"):
        sections = {parent["sectionName"].partition("-")[0] for parent in route["spec"]["parentRefs"]}
        assert sections == ({"http"} if route["metadata"]["name"] == "https-redirect" else {"https"})


@pytest.mark.parametrize("environment", LISTENERS)
def test_every_http_listener_redirects(environment: str) -> None:
    spec = one(objects(environment), "HTTPRoute", "https-redirect")["spec"]

    assert [parent["sectionName"] for parent in spec["parentRefs"]] == [
        name for name, protocol, _, _ in LISTENERS[environment] if protocol == "HTTP"
    ]
    assert spec["rules"][0]["filters"][0]["requestRedirect"] == {"scheme": "https", "statusCode": 301}


@pytest.mark.parametrize("environment", ["local", "production"])
def test_the_bare_domain_redirects_to_www(environment: str) -> None:
    spec = one(objects(environment), "HTTPRoute", "www-redirect")["spec"]

    assert (spec["hostnames"], spec["parentRefs"][0]["sectionName"]) == (["aphiria.com"], "https-root")
    assert spec["rules"][0]["filters"][0]["requestRedirect"] == {
        "scheme": "https",
        "hostname": "www.aphiria.com",
        "statusCode": 301,
    }


@pytest.mark.parametrize("environment", WITH_SITE)
@pytest.mark.parametrize("route", ["web", "api"])
def test_a_client_gets_ten_answers_a_second_and_twenty_more_at_once(environment: str, route: str) -> None:
    policy = one(objects(environment), "RateLimitPolicy", route)
    (rule,) = policy["spec"]["rateLimit"]["local"]["rules"]

    assert (rule["rate"], rule["burst"], rule["key"]) == ("10r/s", 20, "$binary_remote_addr")
    assert [target["name"] for target in policy["spec"]["targetRefs"]] == [route]


@pytest.mark.parametrize("environment", WITH_SITE)
def test_the_gateway_and_nginx_take_the_same_bodies(environment: str) -> None:
    for route in ("web", "api"):
        assert one(objects(environment), "ClientSettingsPolicy", route)["spec"]["body"] == {"maxSize": "10m"}
    assert (
        "client_max_body_size 10m;"
        in one(objects(environment), "ConfigMap", "api-nginx-config")["data"]["default.conf"]
    )


@pytest.mark.parametrize(("environment", "hidden"), [("local", False), ("pr-107", True), ("production", False)])
@pytest.mark.parametrize("route", ["web", "api"])
def test_search_engines_are_shown_no_preview(environment: str, route: str, *, hidden: bool) -> None:
    (rule,) = one(objects(environment), "HTTPRoute", route)["spec"]["rules"]

    set_headers = [
        header for item in rule.get("filters", []) for header in item.get("responseHeaderModifier", {}).get("set", [])
    ]
    assert set_headers == ([{"name": "X-Robots-Tag", "value": "noindex"}] if hidden else [])


def test_a_preview_brings_no_gateway_of_its_own() -> None:
    kinds = {item["kind"] for item in objects("pr-107")}

    assert kinds.isdisjoint({"Gateway", "Certificate", "ClusterIssuer", "NginxProxy"})
    assert names(objects("pr-107"), "Deployment") == ["web", "api"]

from pathlib import Path

import cdk8s
import pytest

from constructs_lib._imports.io.k8s.networking import gateway

CHECKOUT = Path(__file__).resolve().parents[2]
IMPORTS = CHECKOUT / "imports"
PACKAGES = sorted(folder.parent.relative_to(IMPORTS) for folder in IMPORTS.rglob("_jsii"))


def test_every_binding_has_the_stub_by_which_type_checkers_find_it() -> None:
    stubs = CHECKOUT / "constructs_lib" / "_imports"

    assert sorted(stub.parent.relative_to(stubs) for stub in stubs.rglob("*.pyi")) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES, ids=str)
def test_a_binding_has_no_prose_of_the_crd(package: Path) -> None:
    text = (IMPORTS / package / "__init__.py").read_text()

    assert "Gateway API" not in text
    assert "RFC" not in text


def test_a_route_is_built_through_the_bindings() -> None:
    redirect = gateway.HttpRouteSpecRulesFiltersRequestRedirect(
        scheme=gateway.HttpRouteSpecRulesFiltersRequestRedirectScheme.HTTPS,
        status_code=gateway.HttpRouteSpecRulesFiltersRequestRedirectStatusCode.VALUE_301,
    )
    kind = gateway.HttpRouteSpecRulesFiltersType.REQUEST_REDIRECT
    rule = gateway.HttpRouteSpecRules(filters=[gateway.HttpRouteSpecRulesFilters(type=kind, request_redirect=redirect)])
    chart = cdk8s.Testing.chart()
    gateway.HttpRoute(chart, "route", spec=gateway.HttpRouteSpec(hostnames=["a.test"], rules=[rule]))

    (manifest,) = cdk8s.Testing.synth(chart)
    assert manifest["spec"] == {
        "hostnames": ["a.test"],
        "rules": [
            {
                "filters": [
                    {
                        "type": "RequestRedirect",
                        "requestRedirect": {"scheme": "https", "statusCode": 301},
                    }
                ]
            }
        ],
    }

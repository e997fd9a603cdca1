"""The rules over a bundle: what it says beside its manifests reaches them."""

from __future__ import annotations

from aphiria_deploy import bundle
from aphiria_deploy.preflight import check_bundle, context_of
from constructs_lib import checks

_MANIFESTS = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "env-vars", "namespace": "preview-pr-7"},
        "data": {"APP_COOKIE_DOMAIN": ".pr.example.org"},
    }
]
_JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "drop", "namespace": "default"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "postgres:16"}]}}},
}


def _bundle() -> bundle.Bundle:
    return bundle.Bundle(
        site="example.org",
        environment=bundle.Environment(
            name="pr-7", kind=bundle.EnvironmentKind.PREVIEW, namespace="preview-pr-7", number=7
        ),
        files=[bundle.ManifestFile("10-base", _MANIFESTS)],
        images={},
        secrets=[
            bundle.SecretSpec(
                "preview-pr-7",
                "pull",
                {".dockerconfigjson": bundle.RegistryLogin("ghcr.io", "user", "token")},
                "kubernetes.io/dockerconfigjson",
            )
        ],
        base=[{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "default"}}],
        urls={},
        checks=[],
        outputs={},
        contract=bundle.Contract(
            environment_variables=[bundle.EnvironmentVariables("env-vars", ["APP_WEB_URL"])],
            api_url=bundle.ApiUrl("env-vars", "API", "https://7.pr-api.example.org", "api"),
            cookie_domains=[bundle.CookieDomain(".pr.example.org", ["7.pr-api.example.org"])],
            production_cookie_domain=".example.org",
            private_registries=["ghcr.io"],
            previews=4,
        ),
        destruction=bundle.Destruction([_JOB], []),
    )


def test_everything_that_the_bundle_says_is_in_the_context() -> None:
    assert context_of(_bundle()) == checks.Context(
        environment="preview",
        namespace="preview-pr-7",
        base=(_bundle().base[0],),
        secrets=(
            checks.EngineSecret(
                "preview-pr-7", "pull", frozenset({".dockerconfigjson"}), "kubernetes.io/dockerconfigjson"
            ),
        ),
        contract=checks.Contract(
            environment_variables=(checks.EnvironmentVariables("env-vars", ("APP_WEB_URL",)),),
            api_url=checks.ApiUrl("env-vars", "API", "https://7.pr-api.example.org", "api"),
            cookie_domains=(checks.CookieDomain(".pr.example.org", ("7.pr-api.example.org",)),),
            production_cookie_domain=".example.org",
            private_registries=("ghcr.io",),
            previews=4,
        ),
    )


def test_the_manifests_and_the_jobs_that_remove_them_are_checked() -> None:
    found = {(one.rule, one.kind, one.path) for one in check_bundle(_bundle()).findings}
    assert found >= {
        ("env-contract", "ConfigMap", "data.APP_WEB_URL"),
        ("cookie-domain", "ConfigMap", "data.APP_COOKIE_DOMAIN"),
        ("api-url", "ConfigMap", "data.API"),
        ("image-digest", "Job", "spec.template.spec.containers[0].image"),
    }


def test_every_kind_of_environment_is_known_to_the_rules() -> None:
    assert {kind.value for kind in bundle.EnvironmentKind} == set(checks.ENVIRONMENTS)

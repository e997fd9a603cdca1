"""The Secrets of the site's environments, as the engine makes them from their bundles."""

import pytest

from aphiria_deploy.bundle import encode
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.secrets import CHECKSUM, MadeSecret, SecretInputs, make_secrets, with_secret_versions
from aphiria_deploy.settle import OUTPUTS, needed_outputs, needed_variables, settle_inputs
from tests.apps.made import ENVIRONMENTS, bundle
from tests.objects import pod_template

# A value that is nothing else's.
STACK = {name: 5432 if name == "postgresqlPort" else f"value-of-{name}" for name in OUTPUTS}


def made(environment: str, **changes: str) -> list[MadeSecret]:
    settled = settle_inputs(bundle(environment).secrets, STACK | changes, {})
    return make_secrets(bundle(environment).secrets, settled.secrets, [])


def checksums(environment: str, secrets: list[MadeSecret]) -> dict[str, str]:
    versions = {secret.ref: secret.version for secret in secrets}
    found = {}
    for manifest in bundle(environment).manifests:
        template = pod_template(with_secret_versions(manifest, versions)) or {}
        if checksum := template.get("metadata", {}).get("annotations", {}).get(CHECKSUM):
            found[f"{manifest['kind']}/{manifest['metadata']['labels']['app']}"] = checksum
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_all_that_its_secrets_are_made_of_is_an_output_of_its_stack(environment: str) -> None:
    specs = bundle(environment).secrets
    assert needed_outputs(specs).keys() <= OUTPUTS.keys()
    assert needed_variables(specs) == {}
    assert bool(needed_outputs(specs)) is (environment != "local")
    if environment != "local":
        with pytest.raises(AphiriaDeployError, match="found none"):
            settle_inputs(specs, {}, {})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_value_is_in_the_bundle_or_in_what_pods_are_told(environment: str) -> None:
    secrets = made(environment)
    versions = {secret.ref: secret.version for secret in secrets}
    told = [with_secret_versions(manifest, versions) for manifest in bundle(environment).manifests]
    shown = encode(bundle(environment)).decode() + repr(told) + repr(secrets)
    assert "value-of-" not in shown
    data = [text for secret in secrets for text in secret.manifest["data"].values()]
    assert [text for text in data if text in shown and len(text) > 20] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_second_run_makes_the_same_secrets(environment: str) -> None:
    specs, first = bundle(environment).secrets, made(environment)
    inputs = settle_inputs(specs, STACK, {}).secrets
    second = make_secrets(specs, inputs, [secret.manifest for secret in first])
    assert [secret.manifest for secret in second] == [secret.manifest for secret in first]


def test_a_lost_password_runs_the_previews_database_job_again_and_restarts_its_api() -> None:
    specs, first = bundle("pr-107").secrets, made("pr-107")
    assert checksums("pr-107", first) == {
        "Deployment/api": "env-var-secrets:1",
        "Job/db-init": "db-role-pr-107:1",
    }
    inputs = SecretInputs({name: SecretValue(f"value-of-{name}") for name in needed_outputs(specs)})
    rest = [secret.manifest for secret in first if secret.ref.name != "env-var-secrets"]
    second = make_secrets(specs, inputs, rest, recorded={secret.ref: secret.version for secret in first})
    assert checksums("pr-107", second) == {
        "Deployment/api": "env-var-secrets:2",
        "Job/db-init": "db-role-pr-107:2",
    }

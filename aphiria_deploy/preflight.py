"""The preflight rules over a bundle."""

from __future__ import annotations

from aphiria_deploy.bundle import Bundle, Manifest
from constructs_lib import checks


def check_bundle(bundle: Bundle) -> checks.Report:
    """Runs every rule over a bundle's manifests, and over the Jobs that remove it."""
    return checks.check(checked_manifests(bundle), context_of(bundle))


def checked_manifests(bundle: Bundle) -> list[Manifest]:
    """Gives what the rules see of a bundle: its manifests, and the Jobs that remove it or back it up."""
    backup = bundle.backup
    rehearsal = backup.rehearsal if backup else None
    return [
        *bundle.manifests,
        *(bundle.destruction.jobs if bundle.destruction else ()),
        *((backup.take, backup.list, backup.restore, backup.discard) if backup else ()),
        *((rehearsal.job,) if rehearsal else ()),
    ]


def context_of(bundle: Bundle) -> checks.Context:
    """Gives what a bundle says beside its manifests, in the rules' own words."""
    contract = bundle.contract
    return checks.Context(
        environment=bundle.environment.kind.value,
        namespace=bundle.environment.namespace,
        base=tuple(bundle.base),
        secrets=tuple(
            checks.EngineSecret(secret.namespace, secret.name, frozenset(secret.keys), secret.type)
            for secret in bundle.secrets
        ),
        contract=checks.Contract(
            environment_variables=tuple(
                checks.EnvironmentVariables(one.config_map, tuple(one.required))
                for one in contract.environment_variables
            ),
            api_url=checks.ApiUrl(
                contract.api_url.config_map, contract.api_url.key, contract.api_url.url, contract.api_url.route
            )
            if contract.api_url
            else None,
            cookie_domains=tuple(checks.CookieDomain(one.domain, tuple(one.hosts)) for one in contract.cookie_domains),
            production_cookie_domain=contract.production_cookie_domain,
            private_registries=tuple(contract.private_registries),
            previews=contract.previews,
        ),
    )

"""A preview's Secrets and its role: whichever of the two is missing, or another's, a deploy makes them agree again."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from aphiria_deploy.bundle import Generated, Manifest, ScramVerifier, SecretSpec
from aphiria_deploy.secrets import SecretInputs, SecretRef, make_secrets, with_secret_versions
from tests.runtime import postgres
from tests.runtime.databases import init_job, props, run
from tests.runtime.postgres import INSTALLATIONS, Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")

_NAME = "site_pr_1"
_PASSWORD = SecretRef("preview-pr-1", "env-var-secrets")
_VERIFIER = SecretRef("databases", "verifiers")
_SPECS = [
    SecretSpec(namespace=_PASSWORD.namespace, name=_PASSWORD.name, keys={"DB_PASSWORD": Generated()}),
    SecretSpec(
        namespace=_VERIFIER.namespace,
        name=_VERIFIER.name,
        keys={_NAME: ScramVerifier(namespace=_PASSWORD.namespace, secret=_PASSWORD.name, key="DB_PASSWORD")},
    ),
]


@pytest.fixture(scope="module", params=INSTALLATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with postgres.server(request.param) as running:
        yield running


class _Cluster:
    """What a cluster has of a preview: its Secrets, and the Jobs that are complete in it."""

    def __init__(self) -> None:
        self.secrets: dict[SecretRef, Manifest] = {}
        self.versions: dict[SecretRef, int] = {}
        self._done: dict[str, Manifest] = {}

    def deploy(self, server: Server, claim: str = "the first") -> bool:
        """Makes the Secrets, and runs the database's Job where it has to run; says whether it ran."""
        made = make_secrets(_SPECS, SecretInputs(), self.secrets.values(), recorded=self.versions)
        self.secrets = {secret.ref: secret.manifest for secret in made}
        self.versions = {secret.ref: secret.version for secret in made}
        job = dict(init_job(props(_NAME)))
        asked = job["metadata"]["annotations"]["deploy.aphiria.com/runs-again-with"]
        assert asked == "/namespaces/databases/PersistentVolumeClaim/db-pv-claim"
        wanted = with_secret_versions(job, self.versions)
        if self._done.get(claim) == wanted:
            return False
        run(server, wanted, given={"DATABASE_PASSWORD_VERIFIER": self._value(_VERIFIER, _NAME)})
        self._done = {claim: wanted}
        return True

    def lets_in(self, server: Server) -> bool:
        password = self._value(_PASSWORD, "DB_PASSWORD")
        return server.query("SELECT current_user", database=_NAME, user=_NAME, password=password) == _NAME

    def _value(self, ref: SecretRef, key: str) -> str:
        return base64.b64decode(self.secrets[ref]["data"][key]).decode()


@pytest.fixture
def cluster(server: Server) -> Iterator[_Cluster]:
    """A cluster in which the preview is deployed, until it is gone."""
    deployed = _Cluster()
    assert deployed.deploy(server)
    assert deployed.lets_in(server)
    yield deployed
    server.query(f"DROP DATABASE IF EXISTS {_NAME}")
    server.query(f"DROP ROLE IF EXISTS {_NAME}")


def test_where_both_are_there_nothing_runs(server: Server, cluster: _Cluster) -> None:
    assert not cluster.deploy(server)
    assert cluster.lets_in(server)


@pytest.mark.parametrize("lost", [[_PASSWORD], [_VERIFIER], [_PASSWORD, _VERIFIER]])
def test_where_the_role_is_there_and_a_secret_is_not_the_role_gets_the_new_password(
    server: Server, cluster: _Cluster, lost: list[SecretRef]
) -> None:
    for ref in lost:
        del cluster.secrets[ref]

    assert cluster.deploy(server)

    assert cluster.lets_in(server)


def test_where_the_secrets_are_there_and_the_server_was_made_anew_the_role_is_too(
    server: Server, cluster: _Cluster
) -> None:
    server.query(f"DROP DATABASE {_NAME}")
    server.query(f"DROP ROLE {_NAME}")

    assert cluster.deploy(server, claim="the second")

    assert cluster.lets_in(server)


def test_where_a_preview_was_destroyed_and_comes_back_both_are_new(server: Server, cluster: _Cluster) -> None:
    before = cluster.secrets[_PASSWORD]["data"]
    server.query(f"DROP DATABASE {_NAME}")
    server.query(f"DROP ROLE {_NAME}")
    again = _Cluster()

    assert again.deploy(server)

    assert again.lets_in(server)
    assert again.secrets[_PASSWORD]["data"] != before

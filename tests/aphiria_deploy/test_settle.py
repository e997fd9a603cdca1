import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.bundle import (
    Constant,
    EnvironmentKind,
    Generated,
    Output,
    RegistryLogin,
    SecretSpec,
    Variable,
)
from aphiria_deploy.errors import AphiriaDeployError, CombinedError, InputError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.settle import (
    OUTPUTS,
    ImagesPlan,
    Settled,
    StackOutputs,
    decode_outputs,
    needed_outputs,
    needed_variables,
    plan_images,
    read_outputs,
    require_chosen_images,
    settle_images,
    settle_inputs,
)
from tests.aphiria_deploy.samples import make_bundle

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
SPECS = [
    SecretSpec(
        namespace="preview-pr-7",
        name="ghcr-pull-secret",
        keys={".dockerconfigjson": RegistryLogin("ghcr.io", "ghcrUsername", "ghcrToken")},
    ),
    SecretSpec(
        namespace="default",
        name="admin",
        keys={
            "user": Constant("admin"),
            "password": Output("postgresqlAdminPassword"),
            "mail": Variable("MAIL_PASSWORD"),
            "own": Generated(),
        },
    ),
]
OUTPUT_VALUES: dict[str, Any] = {
    "clusterId": "a-cluster",
    "clusterName": "aphiria-com-preview-cluster",
    "clusterEndpoint": "https://cluster.example",
    "kubeconfig": "apiVersion: v1\nkind: Config\n",
    "gatewayName": "nginx-gateway",
    "gatewayNamespace": "nginx-gateway",
    "postgresqlHost": "db.default.svc.cluster.local",
    "postgresqlPort": 5432,
    "postgresqlAdminUser": "postgres",
    "postgresqlAdminPassword": "hunter2 hunter2",
    "ghcrUsername": "octocat",
    "ghcrToken": "ghp_hunter2",
    "digitaloceanDnsToken": "dop_hunter2",
    "backupAccessKeyId": "id-hunter2",
    "backupSecretAccessKey": "key-hunter2",
}
ENVIRON = {"MAIL_PASSWORD": "mail-hunter2", "PATH": "/bin"}


def told(error: AphiriaDeployError) -> list[str]:
    return str(error).splitlines()


def test_the_schema_is_the_outputs_of_a_stack_with_a_cluster() -> None:
    assert list(OUTPUTS) == list(OUTPUT_VALUES)


def test_what_is_there_is_typed_and_what_is_needed_becomes_a_value_of_secrets() -> None:
    settled = settle_inputs(SPECS, OUTPUT_VALUES, ENVIRON, required=["kubeconfig"])
    assert settled.outputs.postgresql_port == 5432
    assert settled.outputs.cluster_name == "aphiria-com-preview-cluster"
    assert settled.outputs.kubeconfig == SecretValue(OUTPUT_VALUES["kubeconfig"])
    assert {name: value.reveal() for name, value in settled.secrets.outputs.items()} == {
        name: OUTPUT_VALUES[name] for name in ("kubeconfig", "ghcrUsername", "ghcrToken", "postgresqlAdminPassword")
    }
    assert {name: value.reveal() for name, value in settled.secrets.variables.items()} == {
        "MAIL_PASSWORD": "mail-hunter2"
    }
    assert "hunter2" not in repr(settled) + str(settled)


def test_outputs_that_nothing_needs_may_be_missing() -> None:
    assert settle_inputs([], None, {}) == Settled()
    assert settle_inputs([], {"clusterName": "x"}, {}).outputs == StackOutputs(cluster_name="x")


def test_a_port_may_be_a_text_and_becomes_one_in_a_secret() -> None:
    specs = [SecretSpec(namespace="a", name="b", keys={"port": Output("postgresqlPort")})]
    for port in (5432, "5432"):
        settled = settle_inputs(specs, {"postgresqlPort": port}, {})
        assert settled.outputs.postgresql_port == 5432
        assert settled.secrets.outputs["postgresqlPort"].reveal() == "5432"


def test_another_sites_own_outputs_are_known_where_they_are_needed_or_named() -> None:
    specs = [SecretSpec(namespace="a", name="b", keys={"key": Output("stripeKey")})]
    settled = settle_inputs(specs, {"stripeKey": " its own ", "bucket": "x"}, {}, also=["bucket"])
    assert settled.secrets.outputs == {"stripeKey": SecretValue(" its own ")}
    with pytest.raises(InputError, match="stripeKey: found an unknown output"):
        settle_inputs([], {"stripeKey": "x"}, {})


def test_everything_that_is_wrong_is_told_at_once_with_what_to_do_and_without_a_value() -> None:
    outputs = {
        "kubeconfig": "[secret]",
        "gatewayName": "",
        "gatewayNamespace": "nginx gateway-hunter2",
        "postgresqlPort": "hunter2",
        "postgresqlHost": ["hunter2"],
        "ghcrUsername": None,
        "ghcrTokn": "hunter2",
        "whatever": "hunter2",
    }
    with pytest.raises(CombinedError) as raised:
        settle_inputs(SPECS, outputs, {"MAIL_PASSWORD": " "}, where="outputs.json")
    lines = told(raised.value)
    assert [line.partition(", expected one of")[0] if "whatever" in line else line for line in lines] == [
        "outputs.json: kubeconfig: found [secret], expected the value: write the file with "
        "`pulumi stack output --json --show-secrets`",
        "outputs.json: gatewayName: found an empty string, expected a value",
        "outputs.json: gatewayNamespace: found white space in it, expected none: was a line break copied along?",
        "outputs.json: postgresqlHost: found a list, expected a string",
        "outputs.json: postgresqlPort: found a string that is none, expected a port, from 1 to 65535",
        "outputs.json: postgresqlAdminPassword: found none, expected a value for Secret default/admin, key password: "
        "set it in the stack's configuration",
        "outputs.json: ghcrUsername: found null, expected a string",
        "outputs.json: ghcrToken: found none, expected a value for Secret preview-pr-7/ghcr-pull-secret, key "
        ".dockerconfigjson: set it in the stack's configuration",
        "outputs.json: ghcrTokn: found an unknown output; did you mean ghcrToken?",
        "outputs.json: whatever: found an unknown output; expected one of " + ", ".join(OUTPUTS),
        "environment variable MAIL_PASSWORD: found an empty one, expected a value for Secret default/admin, key mail: "
        "export MAIL_PASSWORD before the command",
    ]
    assert "hunter2" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_without_a_stack_what_is_needed_is_asked_for_as_a_file() -> None:
    with pytest.raises(CombinedError) as raised:
        settle_inputs(SPECS[:1], None, {})
    assert all(line.endswith("give the stack's outputs with --outputs FILE") for line in told(raised.value))
    assert len(told(raised.value)) == 2


@pytest.mark.parametrize("port", [0, 65536, -1, 1.5, True, "0", "5432 ", "", "0x10", None, [], 10**30, "\uff19"])
def test_what_is_no_port_is_refused(port: object) -> None:
    with pytest.raises(InputError, match=r"postgresqlPort: found .* expected a port"):
        settle_inputs([], {"postgresqlPort": port}, {})


@pytest.mark.parametrize(
    "document", [b"", b"hunter2", b"[]", b'"hunter2"', b"{", b"\xff", b'{"a": hunter2}', b"null", b"[" * 100_000]
)
def test_a_document_that_is_no_json_object_is_refused_and_not_shown(document: bytes) -> None:
    with pytest.raises(InputError, match=r"^outputs.json: found .*pulumi stack output --json") as raised:
        decode_outputs(document, "outputs.json")
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=3), children, max_size=2),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from([*OUTPUTS, "ghcrTokn"]), JSON), st.dictionaries(st.just("MAIL_PASSWORD"), st.text())
)
def test_any_outputs_are_settled_or_refused(outputs: dict[str, Any], environ: dict[str, str]) -> None:
    try:
        settled = settle_inputs(SPECS, outputs, environ)
    except (InputError, CombinedError) as error:
        exit_code = error.exit_code
    else:
        exit_code = 2
        assert settled.secrets.outputs.keys() == {"ghcrUsername", "ghcrToken", "postgresqlAdminPassword"}
    assert exit_code == 2


@given(
    st.dictionaries(
        st.sampled_from([*OUTPUTS, "ghcrTokn"]),
        st.text("QXZ", min_size=9, max_size=9) | st.lists(st.text("QXZ", min_size=9, max_size=9)),
    )
)
def test_no_message_holds_a_value(outputs: dict[str, Any]) -> None:
    found = [value for value in outputs.values() if isinstance(value, str)]
    found += [value for values in outputs.values() if isinstance(values, list) for value in values]
    try:
        shown = repr(settle_inputs(SPECS, outputs, ENVIRON).secrets)
    except AphiriaDeployError as error:
        shown = f"{error}{error!r}{error.__cause__!r}"
    assert not [value for value in found if value in shown]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUT_VALUES))
    assert read_outputs(file) == OUTPUT_VALUES
    for unreadable in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=f"^{unreadable}: .*; expected a file with the JSON of"):
            read_outputs(unreadable)


def test_what_is_needed_says_what_for() -> None:
    assert needed_outputs(SPECS) == {
        "ghcrUsername": ["Secret preview-pr-7/ghcr-pull-secret, key .dockerconfigjson"],
        "ghcrToken": ["Secret preview-pr-7/ghcr-pull-secret, key .dockerconfigjson"],
        "postgresqlAdminPassword": ["Secret default/admin, key password"],
    }
    assert needed_variables(SPECS) == {"MAIL_PASSWORD": ["Secret default/admin, key mail"]}


# Images


def never(tags: Mapping[str, str]) -> Mapping[str, str]:
    raise AssertionError(f"asked for {tags}")


def test_only_tags_are_asked_for() -> None:
    given_images = {"web": "ghcr.io/a/web:1", "nginx": f"nginx:1.29@{DIGEST}", "api": "ghcr.io/a/api"}
    assert plan_images(given_images, EnvironmentKind.PREVIEW) == ImagesPlan(
        settled={"nginx": f"nginx:1.29@{DIGEST}"}, tags={"web": "ghcr.io/a/web:1", "api": "ghcr.io/a/api"}
    )
    settled = settle_images(
        given_images, EnvironmentKind.PREVIEW, lambda tags: {name: f"{name}@{DIGEST}" for name in tags}
    )
    assert list(settled.items()) == [
        ("web", f"web@{DIGEST}"),
        ("nginx", f"nginx:1.29@{DIGEST}"),
        ("api", f"api@{DIGEST}"),
    ]


def test_no_registry_is_asked_for_digests_or_for_local_images() -> None:
    pinned = {"web": f"ghcr.io/a/web@{DIGEST}"}
    assert settle_images(pinned, EnvironmentKind.PRODUCTION, never) == pinned
    local = {"web": "aphiria.com-web:latest"}
    assert settle_images(local, EnvironmentKind.LOCAL, never) == local


def test_names_and_references_that_are_none_are_told_at_once_before_a_registry_is_asked() -> None:
    given_images = {"web": "ghcr.io/a/web:1", "app": "x", "api": f"ghcr.io/a/api@{DIGEST[:20]}"}
    with pytest.raises(CombinedError) as raised:
        settle_images(given_images, EnvironmentKind.PREVIEW, never, names={"web", "api"})
    lines = told(raised.value)
    assert lines[0] == "images: app: found an unknown name, expected one of api, web"
    assert lines[1].startswith("images: api: found 'ghcr.io/a/api@sha256:")
    assert len(lines) == 2


def test_a_bundle_with_samples_is_not_deployed() -> None:
    bundle = make_bundle()
    assert bundle.sample_images
    with pytest.raises(InputError, match=r"images: found samples for api, .*: give --api-image REF"):
        require_chosen_images(bundle)

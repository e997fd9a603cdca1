import base64
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy import scram
from aphiria_deploy.bundle import (
    Constant,
    Generated,
    Manifest,
    Output,
    RegistryLogin,
    ScramVerifier,
    SecretSource,
    SecretSpec,
    Variable,
)
from aphiria_deploy.errors import AphiriaDeployError, CombinedError, InputError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.secrets import (
    CHECKSUM,
    FIELD_MANAGER,
    JOB_CLASS,
    VERSION,
    MadeSecret,
    SecretConflictError,
    SecretInputs,
    SecretRef,
    make_secrets,
    used_secrets,
    with_secret_versions,
)
from constructs_lib.job import JOB_CLASS as JOB_CLASS_OF_THE_CONSTRUCTS
from constructs_lib.job import JobClass

SITE = SecretRef("preview-pr-7", "env-var-secrets")
ROLE = SecretRef("default", "db-role-pr-7")
PULL = SecretRef("preview-pr-7", "ghcr-pull-secret")
PASSWORD = SecretSpec(namespace=SITE.namespace, name=SITE.name, keys={"DB_PASSWORD": Generated()})
VERIFIER = SecretSpec(
    namespace=ROLE.namespace,
    name=ROLE.name,
    keys={"verifier": ScramVerifier(namespace=SITE.namespace, secret=SITE.name, key="DB_PASSWORD")},
)
LOGIN = SecretSpec(
    namespace=PULL.namespace,
    name=PULL.name,
    type="kubernetes.io/dockerconfigjson",
    keys={".dockerconfigjson": RegistryLogin(registry="ghcr.io", username="ghcrUsername", token="ghcrToken")},
)
TOKEN = "ghp_this-is-never-shown"
INPUTS = SecretInputs(
    outputs={"ghcrUsername": SecretValue("octocat"), "ghcrToken": SecretValue(TOKEN), "other": SecretValue("öther")},
    variables={"MAIL_PASSWORD": SecretValue("from the environment")},
)


def spec(
    keys: Mapping[str, SecretSource], *, kind: str = "Opaque", labels: Mapping[str, str] | None = None
) -> SecretSpec:
    return SecretSpec(namespace="site", name="secret", keys=dict(keys), type=kind, labels=dict(labels or {}))


def values(made: MadeSecret) -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in made.manifest["data"].items()}


def live(made: Iterable[MadeSecret]) -> list[Manifest]:
    return [secret.manifest for secret in made]


def in_cluster(data: Mapping[str, bytes], *, version: str | None = "1", **fields: Any) -> Manifest:
    metadata: dict[str, Any] = {"namespace": "site", "name": "secret"}
    if version is not None:
        metadata["annotations"] = {VERSION: version}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": metadata, "data": encoded, **fields}


def owned(secret: Manifest, *keys: str, manager: str = FIELD_MANAGER) -> Manifest:
    entry = {
        "manager": manager,
        "operation": "Apply",
        "fieldsV1": {"f:data": {f"f:{key}": {} for key in keys} | {".": {}}},
    }
    return {**secret, "metadata": {**secret["metadata"], "managedFields": [entry]}}


def test_every_source_gives_its_value() -> None:
    sources: dict[str, SecretSource] = {
        "user": Constant("post'gres"),
        "other": Output("other"),
        "mail": Variable("MAIL_PASSWORD"),
        "generated": Generated(48),
        "login": RegistryLogin("ghcr.io", "ghcrUsername", "ghcrToken"),
    }
    [made] = make_secrets([spec(sources, labels={"a": "b"})], INPUTS, [])
    found = values(made)
    assert (found["user"], found["other"], found["mail"]) == ("post'gres", "öther", "from the environment")
    assert len(base64.urlsafe_b64decode(found["generated"] + "==")) == 48
    [(registry, login)] = json.loads(found["login"])["auths"].items()
    assert (registry, login["username"], login["password"]) == ("ghcr.io", "octocat", TOKEN)
    assert base64.b64decode(login["auth"]).decode() == f"octocat:{TOKEN}"
    assert made.manifest["metadata"] == {
        "namespace": "site",
        "name": "secret",
        "annotations": {VERSION: "1"},
        "labels": {"a": "b"},
    }
    assert made.manifest.keys() == {"apiVersion", "kind", "metadata", "type", "data"}


def test_the_plain_password_exists_once_and_its_verifier_verifies_it() -> None:
    site, role = make_secrets([PASSWORD, VERIFIER], INPUTS, [])
    password, verifier = values(site)["DB_PASSWORD"], values(role)["verifier"]
    assert scram.verifies(verifier, password)
    assert password not in verifier


def test_a_verifier_may_come_before_its_password() -> None:
    role, site = make_secrets([VERIFIER, PASSWORD], INPUTS, [])
    assert scram.verifies(values(role)["verifier"], values(site)["DB_PASSWORD"])


def test_a_second_run_changes_nothing() -> None:
    specs = [PASSWORD, VERIFIER, LOGIN]
    first = make_secrets(specs, INPUTS, [])
    second = make_secrets(specs, INPUTS, live(first))
    assert live(second) == live(first)
    assert [secret.changed for secret in first] == [("DB_PASSWORD",), ("verifier",), (".dockerconfigjson",)]
    assert [secret.changed for secret in second] == [(), (), ()]


def test_a_rotated_token_raises_its_own_secrets_version_alone() -> None:
    specs = [PASSWORD, VERIFIER, LOGIN]
    first = make_secrets(specs, INPUTS, [])
    rotated = SecretInputs({**INPUTS.outputs, "ghcrToken": SecretValue("another")})
    second = make_secrets(specs, rotated, live(first))
    assert [secret.version for secret in second] == [1, 1, 2]
    assert second[2].changed == (".dockerconfigjson",)


def test_a_deleted_password_is_generated_anew_for_the_role_too() -> None:
    first = make_secrets([PASSWORD, VERIFIER], INPUTS, [])
    recorded = {secret.ref: secret.version for secret in first}
    second = make_secrets([PASSWORD, VERIFIER], INPUTS, live(first)[1:], recorded=recorded)
    assert values(second[0]) != values(first[0])
    assert scram.verifies(values(second[1])["verifier"], values(second[0])["DB_PASSWORD"])
    # Counted on from the record: pods that still run with the old one have another annotation.
    assert [secret.version for secret in second] == [2, 2]


def test_a_password_that_somebody_set_in_the_cluster_is_kept_and_reaches_the_role_and_the_pods() -> None:
    site, role = make_secrets([PASSWORD, VERIFIER], INPUTS, [])
    edited = {**site.manifest, "data": {"DB_PASSWORD": base64.b64encode(b"by hand").decode()}}
    second = make_secrets([PASSWORD, VERIFIER], INPUTS, [edited, role.manifest])
    assert values(second[0]) == {"DB_PASSWORD": "by hand"}
    assert scram.verifies(values(second[1])["verifier"], "by hand")
    assert [secret.version for secret in second] == [2, 2]


def test_the_verifier_of_a_password_that_another_makes() -> None:
    [made] = make_secrets([VERIFIER], INPUTS, [{**in_cluster({"DB_PASSWORD": b"theirs"}), "metadata": SITE._asdict()}])
    assert scram.verifies(values(made)["verifier"], "theirs")


def test_a_secret_that_others_made_is_kept_and_counted_from_one() -> None:
    [made] = make_secrets([spec({"a": Generated()})], INPUTS, [in_cluster({"a": b"kept"}, version=None)])
    assert (values(made), made.version, made.changed) == ({"a": "kept"}, 1, ())


@pytest.mark.parametrize("version", ["", "-1", "1.5", "many", "\uff19", "9" * 40])
def test_a_version_that_is_none_is_counted_from_the_record(version: str) -> None:
    [made] = make_secrets(
        [spec({"a": Constant("x")})],
        INPUTS,
        [in_cluster({"a": b"x"}, version=version)],
        recorded={SecretRef("site", "secret"): 4},
    )
    assert made.version == 5


def test_bytes_that_are_no_text_are_kept() -> None:
    [made] = make_secrets([spec({"a": Generated()})], INPUTS, [in_cluster({"a": b"\xff\x00"})])
    assert base64.b64decode(made.manifest["data"]["a"]) == b"\xff\x00"


def test_a_key_that_went_raises_the_version_and_foreign_ones_do_not() -> None:
    data = {"a": b"x", "old": b"y", "foreign": b"z"}
    [made] = make_secrets([spec({"a": Constant("x")})], INPUTS, [owned(in_cluster(data), "a", "old")])
    assert (made.changed, made.version) == (("old",), 2)
    [made] = make_secrets([spec({"a": Constant("x")})], INPUTS, [owned(in_cluster(data), "foreign", manager="kubectl")])
    assert (made.changed, made.version) == ((), 1)


def test_the_type_of_a_secret_cannot_change() -> None:
    with pytest.raises(
        SecretConflictError, match=r"Secret site/secret: type: found Opaque, expected kubernetes.io/tls"
    ):
        make_secrets([spec({"a": Constant("x")}, kind="kubernetes.io/tls")], INPUTS, [in_cluster({"a": b"x"})])


def test_an_immutable_secret_may_stay_but_not_change() -> None:
    frozen = in_cluster({"a": b"x"}, immutable=True)
    assert make_secrets([spec({"a": Constant("x")})], INPUTS, [frozen])[0].version == 1
    with pytest.raises(SecretConflictError, match="immutable: found true"):
        make_secrets([spec({"a": Constant("y")})], INPUTS, [frozen])


def test_all_that_is_wrong_is_told_at_once() -> None:
    specs = [
        spec({"a": Output("unset"), "b": Variable("UNSET")}),
        SecretSpec(namespace="site", name="v", keys={"v": ScramVerifier("site", "none", "password")}),
    ]
    with pytest.raises(CombinedError) as raised:
        make_secrets(specs, INPUTS, [])
    assert str(raised.value).splitlines() == [
        "Secret site/secret: a: found no output 'unset', expected a value for it",
        "Secret site/secret: b: found no environment variable 'UNSET', expected a value for it",
        "Secret site/v: v: a verifier of Secret site/none, key password: found no password there, expected a Secret of "
        "the bundle or of the cluster that has one",
    ]
    assert raised.value.exit_code == 2


def test_a_verifier_of_a_verifier_is_none() -> None:
    with pytest.raises(InputError, match="found no password there"):
        make_secrets([spec({"a": ScramVerifier("site", "secret", "a")})], INPUTS, [in_cluster({"a": b"x"})])


@pytest.mark.parametrize("password", [b"\xff secret-bytes", b"secret-bytes\0"])
def test_bytes_that_are_no_password_are_refused_and_not_shown(password: bytes) -> None:
    keys: dict[str, SecretSource] = {"a": Generated(), "v": ScramVerifier("site", "secret", "a")}
    with pytest.raises(InputError, match="found bytes that are no password") as raised:
        make_secrets([spec(keys)], INPUTS, [in_cluster({"a": password})])
    assert "secret-bytes" not in repr(raised.value) + str(raised.value)
    assert raised.value.__cause__ is None


# Nothing shows a value

SOURCES = st.one_of(
    st.builds(Output, st.sampled_from(["ghcrToken", "unset"])),
    st.builds(Variable, st.sampled_from(["MAIL_PASSWORD", "UNSET"])),
    st.builds(Generated, st.integers(16, 64)),
    st.builds(ScramVerifier, st.just("site"), st.just("secret"), st.sampled_from(["a", "b", "c", "none"])),
    st.builds(RegistryLogin, st.just("ghcr.io"), st.just("ghcrUsername"), st.sampled_from(["ghcrToken", "unset"])),
)


@given(
    st.dictionaries(st.sampled_from("abc"), SOURCES),
    st.text(alphabet="QXZ", min_size=8, max_size=12),
    st.booleans(),
    st.sampled_from(["Opaque", "kubernetes.io/tls"]),
)
def test_no_error_log_or_repr_holds_a_value(
    sources: dict[str, SecretSource], value: str, immutable: bool, kind: str
) -> None:
    inputs = SecretInputs(
        {"ghcrUsername": SecretValue("u"), "ghcrToken": SecretValue(value)}, {"MAIL_PASSWORD": SecretValue(value)}
    )
    existing = in_cluster({"a": value.encode()}, immutable=immutable, type=kind)
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    logging.getLogger().addHandler(handler)
    try:
        shown = repr(make_secrets([spec(sources)], inputs, [existing])) + repr(inputs)
    except AphiriaDeployError as error:
        shown = f"{error}{error!r}{error.__cause__!r}{error.__context__!r}"
    finally:
        logging.getLogger().removeHandler(handler)
    assert value not in shown
    assert base64.b64encode(value.encode()).decode() not in shown
    assert records == []


# Versions

STEPS = st.lists(
    st.tuples(st.sampled_from(["same", "rotate", "delete", "strip"]), st.integers(0, 1)), min_size=1, max_size=8
)


@given(STEPS)
def test_a_version_changes_exactly_when_values_do_and_never_comes_back(steps: list[tuple[str, int]]) -> None:
    specs = [spec({"t": Output("t"), "g": Generated()})]
    number, recorded, existing = 0, dict[SecretRef, int](), list[Manifest]()
    seen: dict[int, dict[str, str]] = {}
    for step, _ in steps:
        if step == "rotate":
            number += 1
        elif step == "delete":
            existing = []
        elif step == "strip" and existing:
            existing = [{**existing[0], "metadata": {"namespace": "site", "name": "secret"}}]
        [made] = make_secrets(specs, SecretInputs({"t": SecretValue(f"t{number}")}), existing, recorded=recorded)
        assert seen.setdefault(made.version, values(made)) == values(made)
        assert made.version >= max(seen)
        if step in {"same", "rotate"} and existing:
            assert (made.version > recorded[made.ref]) is (step == "rotate")
        recorded, existing = {made.ref: made.version}, [made.manifest]


# The checksum


def deployment(pod: Mapping[str, Any], kind: str = "Deployment", **annotations: str) -> Manifest:
    metadata: dict[str, Any] = {"namespace": "site", "name": "x", "annotations": annotations}
    return {"kind": kind, "metadata": metadata, "spec": {"template": {"spec": dict(pod)}}}


USES_ALL = {
    "imagePullSecrets": [{"name": "pull"}],
    "volumes": [
        {"name": "v", "secret": {"secretName": "volume"}},
        {"name": "c", "configMap": {"name": "config"}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "config"}}]}},
    ],
    "initContainers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "init", "key": "k"}}}]}],
    "containers": [
        {"env": [{"name": "A", "value": "plain"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
        {"envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "config"}}]},
    ],
}


def test_a_pod_uses_the_secrets_that_its_containers_read() -> None:
    assert used_secrets(USES_ALL) == {"volume", "projected", "init", "all"}
    assert used_secrets({"containers": []}) == set()


def test_the_template_says_the_versions_of_the_engines_secrets_and_of_no_other() -> None:
    manifest = deployment(USES_ALL)
    versions = {
        SecretRef("site", "volume"): 3,
        SecretRef("site", "all"): 12,
        SecretRef("site", "unused"): 1,
        SecretRef("other", "init"): 9,
    }
    annotated = with_secret_versions(manifest, versions)
    assert annotated["spec"]["template"]["metadata"] == {"annotations": {CHECKSUM: "all:12,volume:3"}}
    assert "metadata" not in manifest["spec"]["template"]
    assert with_secret_versions(manifest, {}) is manifest


def test_other_annotations_of_the_template_stay() -> None:
    manifest = deployment(USES_ALL)
    manifest["spec"]["template"]["metadata"] = {"labels": {"app": "x"}, "annotations": {"checksum/config": "c"}}
    annotated = with_secret_versions(manifest, {SecretRef("site", "all"): 1})
    assert annotated["spec"]["template"]["metadata"] == {
        "labels": {"app": "x"},
        "annotations": {"checksum/config": "c", CHECKSUM: "all:1"},
    }


def test_of_jobs_those_that_ensure_something_say_versions() -> None:
    versions = {SecretRef("site", "all"): 1}
    said = {
        job_class: CHECKSUM
        in str(with_secret_versions(deployment(USES_ALL, "Job", **{JOB_CLASS: job_class}), versions))
        for job_class in JobClass
    }
    assert said == {JobClass.ENSURE: True, JobClass.ONCE: False, JobClass.ALWAYS: False}
    assert with_secret_versions(deployment(USES_ALL, "CronJob"), versions) == deployment(USES_ALL, "CronJob")
    assert JOB_CLASS == JOB_CLASS_OF_THE_CONSTRUCTS


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_two_values_give_two_checksums_that_tell_nothing_of_them(one: str, other: str) -> None:
    def run(value: str, existing: list[Manifest]) -> tuple[str, list[Manifest]]:
        inputs = SecretInputs({"t": SecretValue(value)})
        made = make_secrets([SecretSpec(namespace="site", name="all", keys={"t": Output("t")})], inputs, existing)
        annotated = with_secret_versions(deployment(USES_ALL), {secret.ref: secret.version for secret in made})
        return annotated["spec"]["template"]["metadata"]["annotations"][CHECKSUM], live(made)

    first, existing = run(one, [])
    second, _ = run(other, existing)
    assert (first, second) == ("all:1", "all:1" if one == other else "all:2")


def test_a_password_that_is_missing_is_told_once() -> None:
    keys: dict[str, SecretSource] = {"a": Output("unset"), "v": ScramVerifier("site", "secret", "a")}
    with pytest.raises(InputError, match="a: found no output 'unset'"):
        make_secrets([spec(keys)], INPUTS, [])


def test_a_secret_that_is_older_than_the_record_counts_on_from_the_record() -> None:
    ref = SecretRef("site", "secret")
    [made] = make_secrets(
        [spec({"a": Constant("x")})], INPUTS, [in_cluster({"a": b"x"}, version="2")], recorded={ref: 4}
    )
    assert (made.version, made.changed) == (5, ())
    [made] = make_secrets([spec({"a": Constant("x")})], INPUTS, [made.manifest], recorded={ref: 5})
    assert made.version == 5

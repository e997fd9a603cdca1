"""What every pod is made of."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib import (
    Drain,
    EnvSource,
    HttpProbe,
    ImageRef,
    InvalidPropsError,
    InvalidValueError,
    PodOptions,
    SecretKey,
    TcpProbe,
    User,
    Volume,
)
from constructs_lib.pod import container, env_list, pod_spec
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import DIGEST, SMALL, WEB
from tests.pod_security import violations

NOBODY = User(1000, 1000)


@given(st.integers(-2, 2**31 + 1), st.integers(-2, 2**31 + 1))
def test_a_user_is_anyone_but_root(uid: int, gid: int) -> None:
    if 0 < uid < 2**31 and 0 < gid < 2**31:
        context = User(uid, gid).security_context()
        assert (context["runAsUser"], context["runAsGroup"]) == (uid, gid)
    else:
        with pytest.raises(InvalidValueError, match="expected a number from 1 to 2147483647"):
            User(uid, gid)


@pytest.mark.parametrize(("uid", "gid", "what"), [(0, 1, "user ID: found 0"), (1, 0, "group ID: found 0")])
def test_root_is_refused_by_name(uid: int, gid: int, what: str) -> None:
    with pytest.raises(InvalidValueError, match=f"{what}, .*: containers never run as root"):
        User(uid, gid)


@given(st.integers(-2, 100), st.integers(-2, 100))
def test_a_pod_drains_within_its_grace_period(pause: int, grace: int) -> None:
    if 0 <= pause < grace:
        assert Drain(pause=pause, grace=grace).grace == grace
    else:
        with pytest.raises(InvalidValueError, match=f"drain: found 'pause {pause}, grace {grace}'"):
            Drain(pause=pause, grace=grace)


def test_a_pod_pauses_ten_seconds_of_its_minute() -> None:
    assert (Drain().pause, Drain().grace) == (10, 60)


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("Data", "/data", "name: found 'Data'"),
        ("", "/data", "name: found ''"),
        ("data", "data", "mount path of volume data: found 'data', expected an absolute path without ':'"),
        ("data", "", "mount path of volume data: found ''"),
        ("data", "/a:b", "mount path of volume data: found '/a:b'"),
    ],
)
def test_a_volume_that_could_not_be_mounted_is_refused(name: str, path: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(message)):
        Volume(name=name, mount_path=path)


def test_a_volume_is_an_empty_directory_unless_it_says_otherwise() -> None:
    volume = Volume(name="data", mount_path="/data")

    assert (volume.source, volume.mount()) == ({"emptyDir": {}}, {"name": "data", "mountPath": "/data"})


def test_a_config_map_is_mounted_to_be_read() -> None:
    volume = Volume.config("nginx-config", "/etc/nginx/conf.d/default.conf", sub_path="default.conf")

    assert volume.source == {"configMap": {"name": "nginx-config"}}
    assert volume.mount() == {
        "name": "nginx-config",
        "mountPath": "/etc/nginx/conf.d/default.conf",
        "subPath": "default.conf",
        "readOnly": True,
    }


@pytest.mark.parametrize(("path", "name"), [("/tmp", "tmp"), ("/var/cache/nginx", "var-cache-nginx")])
def test_scratch_space_is_named_after_its_path(path: str, name: str) -> None:
    assert Volume.scratch(path).name == name


PATHS = (
    st.lists(st.text(st.sampled_from("aB0-._"), min_size=1, max_size=30), max_size=4).map("/".join).map("/{}".format)
)


@given(PATHS, PATHS)
def test_two_paths_never_share_scratch_space(one: str, other: str) -> None:
    assert (Volume.scratch(one).name == Volume.scratch(other).name) == (one == other)


@pytest.mark.parametrize(
    ("secret", "key"), [("env-secrets", "DB_PASSWORD"), ("a.b", ".dockerconfigjson"), ("a", "k-1")]
)
def test_a_secret_is_referred_to_and_never_held(secret: str, key: str) -> None:
    reference = {"secretKeyRef": {"name": secret, "key": key}}

    assert SecretKey(secret, key).env("PASSWORD") == {"name": "PASSWORD", "valueFrom": reference}


@pytest.mark.parametrize(
    ("secret", "key", "message"),
    [
        ("", "key", "name of a Secret: found '', expected lower-case DNS labels, joined by dots"),
        ("Secret", "key", "name of a Secret: found 'Secret'"),
        ("a/b", "key", "name of a Secret: found 'a/b'"),
        (".".join(["a" * 63] * 4), "key", "name of a Secret: found"),
        ("secret", "", "key of Secret secret: found '', expected at most 253 letters, digits, '-', '_' and '.'"),
        ("secret", "a b", "key of Secret secret: found 'a b'"),
        ("secret", "k" * 254, "key of Secret secret: found"),
    ],
)
def test_what_cannot_be_in_a_secret_is_refused(secret: str, key: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(message)):
        SecretKey(secret, key)


def test_variables_keep_their_order_and_secrets_stay_references() -> None:
    variables = env_list({"B": "2", "A": SecretKey("secret", "key"), "_c1": ""})

    assert variables == [
        {"name": "B", "value": "2"},
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}},
        {"name": "_c1", "value": ""},
    ]


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n"])
def test_a_variable_that_no_shell_could_read_is_refused(name: str) -> None:
    with pytest.raises(
        InvalidValueError, match=re.escape(f"environment variable: found {name!r}, expected letters, digits and '_'")
    ):
        env_list({name: "value"})


@pytest.mark.parametrize(
    ("probe", "port", "expected"),
    [
        (
            HttpProbe(path="/health"),
            "http",
            {
                "httpGet": {"path": "/health", "port": "http"},
                "initialDelaySeconds": 0,
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 3,
            },
        ),
        (
            TcpProbe(initial_delay=1, period=2, timeout=3, failures=4),
            "fastcgi",
            {
                "tcpSocket": {"port": "fastcgi"},
                "initialDelaySeconds": 1,
                "periodSeconds": 2,
                "timeoutSeconds": 3,
                "failureThreshold": 4,
            },
        ),
    ],
)
def test_a_probe_asks_a_port_by_its_name(probe: HttpProbe | TcpProbe, port: str, expected: dict[str, Any]) -> None:
    assert probe.manifest(port) == expected


def test_a_probe_is_patient_unless_it_is_told_otherwise() -> None:
    patience = {"initial_delay": 0, "period": 10, "timeout": 5, "failures": 3}

    assert defaults(HttpProbe) == defaults(TcpProbe) == patience
    assert (required(HttpProbe), required(TcpProbe)) == ({"path"}, set())


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        (f"registry.example/web@{DIGEST}", "IfNotPresent"),
        (f"registry.example/web:1@{DIGEST}", "IfNotPresent"),
        ("web:latest", "IfNotPresent"),
        ("registry.example/web:1", "Always"),
        ("registry.example/web", "Always"),
    ],
)
def test_only_what_can_change_behind_its_name_is_pulled_again(image: str, policy: str) -> None:
    assert container("web", ImageRef.parse(image), NOBODY)["imagePullPolicy"] == policy


def test_a_container_has_nothing_that_nobody_asked_for() -> None:
    assert container("web", WEB, NOBODY).keys() == {"name", "image", "imagePullPolicy", "securityContext"}


def test_a_container_has_all_that_was_asked_for() -> None:
    volume = Volume.scratch("/tmp")

    made = container(
        "web",
        WEB,
        NOBODY,
        resources=SMALL,
        command=["sh"],
        args=["-c", "true"],
        working_directory="/app",
        ports={"http": 8080},
        env=[{"name": "A", "value": "1"}],
        env_from=EnvSource(config_map="vars", checksum="", secrets=["secret"]).manifest(),
        volumes=[volume],
        probes={"livenessProbe": {"exec": {"command": ["true"]}}},
        pre_stop=["sleep", "1"],
    )

    assert {name: value for name, value in made.items() if name not in {"securityContext", "imagePullPolicy"}} == {
        "name": "web",
        "image": str(WEB),
        "command": ["sh"],
        "args": ["-c", "true"],
        "workingDir": "/app",
        "ports": [{"name": "http", "containerPort": 8080}],
        "envFrom": [{"configMapRef": {"name": "vars"}}, {"secretRef": {"name": "secret"}}],
        "env": [{"name": "A", "value": "1"}],
        "resources": SMALL.manifest(),
        "livenessProbe": {"exec": {"command": ["true"]}},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}},
        "volumeMounts": [volume.mount()],
    }


def test_a_pod_is_admitted_as_restricted_and_holds_no_token() -> None:
    spec = pod_spec([container("web", WEB, NOBODY)], options=PodOptions())

    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec.keys() == {"automountServiceAccountToken", "enableServiceLinks", "securityContext", "containers"}


@pytest.mark.parametrize(("port", "allowed"), [(80, True), (1023, True), (1024, False), (8080, False)])
def test_a_low_port_is_opened_by_a_safe_sysctl_and_no_other_port_needs_it(port: int, *, allowed: bool) -> None:
    spec = pod_spec([container("web", WEB, NOBODY, ports={"http": port})], options=PodOptions())

    sysctl = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    assert spec["securityContext"].get("sysctls") == ([sysctl] if allowed else None)


def test_a_pod_has_all_that_was_asked_for() -> None:
    volume = Volume(name="data", mount_path="/data", source={"persistentVolumeClaim": {"claimName": "claim"}})

    spec = pod_spec(
        [container("web", WEB, NOBODY)],
        init_containers=[container("init", WEB, NOBODY)],
        volumes=[volume, volume],
        options=PodOptions(pull_secrets=["pull"], node_selector={"disk": "ssd"}),
        grace=30,
        restart_policy="Never",
        group=70,
        spread="web",
    )

    assert [part["name"] for part in spec["initContainers"]] == ["init"]
    assert spec["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}]
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert (spec["terminationGracePeriodSeconds"], spec["restartPolicy"]) == (30, "Never")
    assert (spec["securityContext"]["fsGroup"], spec["securityContext"]["fsGroupChangePolicy"]) == (
        70,
        "OnRootMismatch",
    )
    assert spec["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]


def test_one_name_cannot_stand_for_two_volumes() -> None:
    volumes = [Volume.config("data", "/a"), Volume(name="data", mount_path="/b")]

    with pytest.raises(InvalidPropsError, match="volumes: data: found two sources, expected one for each name"):
        pod_spec([], volumes=volumes, options=PodOptions())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"app": "other"}, "label: found 'app', expected one that the library does not set itself"),
        ({"app.kubernetes.io/name": "other"}, "label: found 'app.kubernetes.io/name', expected one that the library"),
        ({"a b": "x"}, "label: found 'a b', expected [prefix/]name"),
        ({"tier": "a b"}, "label tier: found 'a b', expected at most 63 letters"),
    ],
)
def test_a_pods_labels_cannot_part_it_from_its_selector(labels: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(message)):
        PodOptions(labels=labels)

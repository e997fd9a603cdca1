from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aphiria_deploy.errors import CredentialError, KubeconfigError
from aphiria_deploy.kube import Deadline, load
from aphiria_deploy.kube.access import Access

_CA = b"-----BEGIN CERTIFICATE-----\n"
_DATA = base64.b64encode(_CA).decode()


def _config(user: dict[str, Any] | None = None, cluster: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://k8s.example:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "current-context": "x",
    }


def _write(path: Path, config: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _load(path: Path, config: object, context: str | None = None, **environment: str) -> Access:
    return load(_write(path / "config", config), context, environment=environment)


def _headers(access: Access) -> dict[str, str]:
    return access.credentials.headers(Deadline.after(20))


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("https://k8s.example:6443", "https://k8s.example:6443"),
        ("https://k8s.example", "https://k8s.example:443"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://rancher.example/k8s/clusters/c-1/", "https://rancher.example:443/k8s/clusters/c-1"),
        ("https://[::1]:6443", "https://[::1]:6443"),
        ("k8s.example:6443", "https://k8s.example:6443"),
    ],
)
def test_the_server_is_found(tmp_path: Path, server: str, url: str) -> None:
    access = _load(tmp_path, _config(cluster={"server": server}))
    assert access.url == url
    assert access.namespace == "n"
    assert "context 'x'" in access.where


@pytest.mark.parametrize(
    "server", ["", "https://", "ftp://x", "https://user:hush@x", "https://x?y=hush", "https://x:port", "https://[::1"]
)
def test_a_server_that_is_no_address_is_refused_and_not_repeated(tmp_path: Path, server: str) -> None:
    with pytest.raises(
        KubeconfigError, match=r"cluster 'c' of .*config: server: .*expected https://HOST:PORT"
    ) as raised:
        _load(tmp_path, _config(cluster={"server": server}))
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ({}, {}),
        ({"token": "t"}, {"Authorization": "Bearer t"}),
        ({"username": "a", "password": "b"}, {"Authorization": "Basic YTpi"}),
        ({"token": "t", "as": "jane"}, {"Authorization": "Bearer t", "Impersonate-User": "jane"}),
        (
            {"token": "t", "as": "jane", "as-uid": "1", "as-groups": ["g"], "as-user-extra": {"a/b": ["c"]}},
            {
                "Authorization": "Bearer t",
                "Impersonate-User": "jane",
                "Impersonate-Uid": "1",
                "Impersonate-Group": "g",
                "Impersonate-Extra-a%2Fb": "c",
            },
        ),
    ],
)
def test_what_a_user_is_let_in_with(tmp_path: Path, user: dict[str, Any], headers: dict[str, str]) -> None:
    assert _headers(_load(tmp_path, _config(user))) == headers


def test_files_are_found_beside_the_kubeconfig_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(_CA)
    (tmp_path / "me.crt").write_bytes(b"certificate")
    (tmp_path / "me.key").write_bytes(b"key")
    (tmp_path / "token").write_text("from-file\n", encoding="utf-8")
    files = {"client-certificate": "me.crt", "client-key": "me.key", "tokenFile": "token", "token": "not-this"}
    access = _load(tmp_path, _config(files, {"certificate-authority": "ca.crt"}))
    assert access.authorities == _CA
    certificate = access.credentials.certificate(Deadline.after(5))
    assert certificate
    assert (certificate.certificate, certificate.key) == (b"certificate", b"key")
    assert _headers(access) == {"Authorization": "Bearer from-file"}


def test_data_in_the_kubeconfig_is_taken_before_files(tmp_path: Path) -> None:
    wrapped = f"{_DATA[:8]}\n{_DATA[8:]}"
    access = _load(
        tmp_path, _config(cluster={"certificate-authority-data": wrapped, "certificate-authority": "missing"})
    )
    assert access.authorities == _CA


def test_a_token_file_that_was_renewed_is_read_again_when_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one", encoding="utf-8")
    access = _load(tmp_path, _config({"tokenFile": "token"}))
    assert _headers(access) == {"Authorization": "Bearer one"}
    assert not access.credentials.refused()
    token.write_text("two", encoding="utf-8")
    assert access.credentials.refused() or _headers(access) == {"Authorization": "Bearer two"}
    assert _headers(access) == {"Authorization": "Bearer two"}


def test_tls_settings_and_proxies_are_read(tmp_path: Path) -> None:
    settings_ = {"tls-server-name": "inside", "proxy-url": "http://me:p%40ss@proxy.example:3128"}
    access = _load(tmp_path, _config(cluster=settings_))
    assert access.server_name == "inside"
    assert access.proxy
    assert (access.proxy.host, access.proxy.port) == ("proxy.example", 3128)
    assert access.proxy.headers == {"Proxy-Authorization": f"Basic {base64.b64encode(b'me:p@ss').decode()}"}
    assert "p@ss" not in repr(access)
    assert not _load(tmp_path, _config(cluster={"insecure-skip-tls-verify": True})).verify


@pytest.mark.parametrize(
    ("environment", "proxied"),
    [
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, True),
        ({"https_proxy": "proxy.example:3128"}, True),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, False),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".example,10.0.0.0/8"}, False),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": "other.org"}, True),
        ({"HTTPS_PROXY": ""}, False),
    ],
)
def test_the_environment_may_name_a_proxy(tmp_path: Path, environment: dict[str, str], proxied: bool) -> None:
    assert bool(_load(tmp_path, _config(), **environment).proxy) == proxied


_REFUSED: list[tuple[str, Any, str]] = [
    ("no contexts", {}, "current-context: found none; choose one with --context"),
    ("no such context", {"current-context": "y", "contexts": []}, "found no context 'y'"),
    ("not an object", [1], r"Expected `object`, got `array`; expected a kubeconfig"),
    ("wrong type", {"clusters": [{"name": "c", "cluster": {"server": 1}}]}, r"\$\.clusters\[0\]\.cluster\.server"),
    ("no cluster", _config() | {"clusters": None}, "found no cluster 'c'"),
    ("no user", _config() | {"users": []}, "found no user 'u'"),
    ("no base64", _config(cluster={"certificate-authority-data": "#"}), "certificate-authority-data: found no base64"),
    ("no file", _config(cluster={"certificate-authority": "missing.crt"}), "missing.crt: No such file"),
    ("half a pair", _config({"client-certificate-data": _DATA}), "client-key: found none"),
    ("other half", _config({"client-key-data": _DATA}), "client-certificate: found none"),
    ("old provider", _config({"auth-provider": {"name": "gcp"}}), "auth-provider: Kubernetes knows it no more"),
    ("nobody", _config({"token": "t", "as-groups": ["g"]}), "as: found none"),
    ("groups", _config({"token": "t", "as": "j", "as-groups": ["g", "h"]}), "as-groups, .*several"),
    ("SOCKS", _config(cluster={"proxy-url": "socks5://x:1"}), "proxy-url: found a proxy of scheme 'socks5'"),
    (
        "insecure and not",
        _config(cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": _DATA}),
        "insecure-skip-tls-verify: found true beside",
    ),
]


@pytest.mark.parametrize(("config", "said"), [case[1:] for case in _REFUSED], ids=[case[0] for case in _REFUSED])
def test_what_cannot_be_used_is_refused_by_its_path(tmp_path: Path, config: Any, said: str) -> None:
    with pytest.raises(KubeconfigError, match=said) as raised:
        _load(tmp_path, config)
    assert raised.value.exit_code == 2
    assert str(tmp_path / "config") in str(raised.value)


def test_what_is_not_yaml_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- token: 'hush-hush\n", encoding="utf-8")
    with pytest.raises(KubeconfigError, match="line 3: not YAML") as raised:
        load(path, environment={})
    assert "hush" not in str(raised.value)
    assert raised.value.__cause__ is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    config=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["clusters", "users", "contexts", "current-context", "name", "cluster", "user", "server"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_a_kubeconfig_of_any_shape_is_read_or_refused(tmp_path: Path, config: Any) -> None:
    with contextlib.suppress(KubeconfigError, CredentialError):
        _load(tmp_path, config)


def test_the_context_can_be_chosen_and_the_others_are_named(tmp_path: Path) -> None:
    config = _config()
    config["contexts"].append({"name": "other", "context": {"cluster": "c"}})
    assert _load(tmp_path, config, "other").namespace == "default"
    with pytest.raises(KubeconfigError, match="expected one of other, x"):
        _load(tmp_path, config, "third")


def test_of_several_files_the_first_that_has_something_wins(tmp_path: Path) -> None:
    first = _write(tmp_path / "a" / "config", {"contexts": _config()["contexts"], "clusters": None})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "ca.crt").write_bytes(_CA)
    second = _write(tmp_path / "b" / "config", _config({"token": "second"}, {"certificate-authority": "ca.crt"}))
    third = _write(tmp_path / "c" / "config", _config({"token": "third"}, {"server": "https://third.example"}))
    missing = tmp_path / "missing"
    named = os.pathsep.join(str(path) for path in (first, missing, second, third))
    access = load(environment={"KUBECONFIG": named})
    assert access.url == "https://k8s.example:6443"
    assert access.authorities == _CA
    assert _headers(access) == {"Authorization": "Bearer second"}


def test_the_option_counts_before_the_environment_and_that_before_the_home(tmp_path: Path) -> None:
    places = {
        name: _write(tmp_path / name / ".kube" / "config", _config(cluster={"server": f"https://{name}"}))
        for name in "abc"
    }
    environment = {"KUBECONFIG": str(places["b"]), "HOME": str(tmp_path / "c")}
    assert load(places["a"], environment=environment).host == "a"
    assert load(environment=environment).host == "b"
    assert load(environment={"HOME": environment["HOME"]}).host == "c"


def _account(folder: Path) -> dict[str, str]:
    (folder / "token").write_text("pod-token", encoding="utf-8")
    (folder / "ca.crt").write_bytes(_CA)
    (folder / "namespace").write_text("pod-namespace", encoding="utf-8")
    return {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(folder / "nobody")}


def test_a_pod_finds_its_own_account_where_there_is_no_kubeconfig(tmp_path: Path) -> None:
    environment = _account(tmp_path)
    access = load(environment=environment, service_account=tmp_path)
    assert (access.url, access.namespace, access.authorities) == ("https://[fd00::1]:443", "pod-namespace", _CA)
    assert _headers(access) == {"Authorization": "Bearer pod-token"}
    named = _write(tmp_path / "config", _config())
    assert load(environment=environment | {"KUBECONFIG": str(named)}, service_account=tmp_path).host == "k8s.example"


def test_no_kubeconfig_at_all_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"--kubeconfig.*KUBECONFIG.*~/\.kube/config"):
        load(environment={"HOME": str(tmp_path)}, service_account=tmp_path)
    with pytest.raises(KubeconfigError, match="No such file"):
        load(tmp_path / "missing", environment={})


Plugin = Callable[[str], dict[str, Any]]


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    """Makes a plugin of a program, which is named relative to the kubeconfig."""

    def make(program: str) -> dict[str, Any]:
        path = tmp_path / "plugin"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys\n{program}", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        version = "client.authentication.k8s.io/v1"
        return {"apiVersion": version, "command": "./plugin", "interactiveMode": "Never"}

    return make


_SAY = (
    'json.dump({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": %s}, sys.stdout)'
)


def test_a_plugin_gives_a_token_and_is_asked_once(tmp_path: Path, plugin: Plugin) -> None:
    count = "open('asked', 'a').write('x')\n"
    settings_ = plugin(f"os.chdir({str(tmp_path)!r})\n{count}{_SAY % '''{'token': 'plugged-' + sys.argv[1]}'''}")
    access = _load(tmp_path, _config({"exec": settings_ | {"args": ["in"]}}))
    assert _headers(access) == _headers(access) == {"Authorization": "Bearer plugged-in"}
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "x"
    assert access.credentials.refused()
    _headers(access)
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "xx"
    assert "plugged" not in repr(access)


def test_a_plugin_is_asked_again_when_its_credential_has_expired(tmp_path: Path, plugin: Plugin) -> None:
    status = "{'token': str(os.getpid()), 'expirationTimestamp': '2020-01-01T00:00:00Z'}"
    access = _load(tmp_path, _config({"exec": plugin(_SAY % status)}))
    assert _headers(access) != _headers(access)


def test_a_plugin_gives_a_certificate(tmp_path: Path, plugin: Plugin) -> None:
    access = _load(tmp_path, _config({"exec": plugin(_SAY % "{'clientCertificateData': 'c', 'clientKeyData': 'k'}")}))
    certificate = access.credentials.certificate(Deadline.after(20))
    assert certificate
    assert (certificate.certificate, certificate.key) == (b"c", b"k")
    assert _headers(access) == {}


def test_a_plugin_is_told_of_the_cluster_where_it_asks_to_be(tmp_path: Path, plugin: Plugin) -> None:
    settings_ = plugin(_SAY % "{'token': os.environ['KUBERNETES_EXEC_INFO'] + os.environ['MORE']}")
    settings_ |= {"provideClusterInfo": True, "env": [{"name": "MORE", "value": "!"}]}
    extension = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}]
    access = _load(tmp_path, _config({"exec": settings_}, {"extensions": extension}))
    token = _headers(access)["Authorization"].removeprefix("Bearer ")
    assert token.endswith("!")
    info = json.loads(token.removesuffix("!"))
    assert info["kind"] == "ExecCredential"
    assert info["spec"] == {
        "interactive": False,
        "cluster": {"server": "https://k8s.example:6443", "config": {"audience": "x"}},
    }


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("sys.exit('log in first')", "plugin ended with 1: log in first; install it"),
        ("print('hush-hush')", "printed something else than an ExecCredential"),
        (_SAY % "{}", "status: expected a token"),
        (_SAY % "{'token': 'hush-hush', 'expirationTimestamp': 'hush-hush'}", "printed something else"),
        (_SAY % "['hush-hush']", "printed something else"),
        ("print(json.dumps({'apiVersion': 'v0', 'status': {'token': 'hush-hush'}}))", "apiVersion: found 'v0'"),
    ],
)
def test_a_plugin_that_gives_nothing_is_a_credential_that_cannot_be_had(
    tmp_path: Path, plugin: Plugin, program: str, said: str
) -> None:
    access = _load(tmp_path, _config({"exec": plugin(program) | {"installHint": "install it"}}))
    with pytest.raises(CredentialError, match=said) as raised:
        _headers(access)
    assert "hush" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.exit_code == 5


def test_a_plugin_that_is_missing_or_too_old_or_too_slow(tmp_path: Path, plugin: Plugin) -> None:
    missing = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "no-such-program"}
    with pytest.raises(CredentialError, match="no-such-program: No such file or directory"):
        _headers(_load(tmp_path, _config({"exec": missing})))
    with pytest.raises(CredentialError, match=r"apiVersion: found 'client.authentication.k8s.io/v1alpha1'"):
        _load(tmp_path, _config({"exec": missing | {"apiVersion": "client.authentication.k8s.io/v1alpha1"}}))
    access = _load(tmp_path, _config({"exec": plugin("import time; time.sleep(20)")}))
    with pytest.raises(CredentialError, match=r"gave no credential within 0\.3 s"):
        access.credentials.headers(Deadline.after(0.3))

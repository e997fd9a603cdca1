"""Finding the cluster: the kubeconfig, merged and chosen from as kubectl does it, or the pod's own service account.

Written here since no library would do. lightkube's loader knows neither several files in ``KUBECONFIG``, nor plugins
of ``client.authentication.k8s.io/v1`` or such that give certificates, nor ``tls-server-name`` or ``proxy-url``,
prefers the service account to the kubeconfig, and loads an HTTP client (0.27 s); kr8s leaves the client's key in a
temporary file, and takes 0.6 s to import, which is more than a whole deploy of nothing may take.
"""

from __future__ import annotations

import base64
import binascii
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aphiria_deploy.errors import KubeconfigError
from aphiria_deploy.kube.access import Access, ClientCertificate, Credentials, Proxy
from aphiria_deploy.kube.credentials import Fixed, Impersonating, Plugin, TokenFile, basic, bearer

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own account."""

_PORTS = {"https": 443, "http": 80}
_DEEPEST = 100


class _Data(msgspec.Struct, rename="kebab"):
    """A part of a kubeconfig; keys that nobody here reads are let be."""


class _Cluster(_Data):
    server: str
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[dict[str, Any]] | None = None


class _Variable(msgspec.Struct):
    name: str
    value: str


class _Exec(msgspec.Struct, rename="camel"):
    api_version: str
    command: str
    args: list[str] | None = None
    env: list[_Variable] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"


class _User(_Data):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    exec: _Exec | None = None
    auth_provider: dict[str, Any] | None = None
    as_name: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None


class _Context(_Data):
    cluster: str
    user: str = ""
    namespace: str = ""


class _NamedCluster(_Data):
    name: str
    cluster: _Cluster


class _NamedUser(_Data):
    name: str
    user: _User | None = None


class _NamedContext(_Data):
    name: str
    context: _Context


class _File(_Data):
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None
    current_context: str = ""


def load(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """Finds the cluster and the credentials for it, without asking anybody yet.

    Looked at in this order: the file that was given, those that ``KUBECONFIG`` names, ``~/.kube/config``, the service
    account of the pod that this runs in. Of several files, the first that has something wins.

    Args:
        kubeconfig: The file of ``--kubeconfig``.
        context: The context of ``--context``; without it the current one.
        environment: The environment variables.
        service_account: Where a pod's own account is.

    Raises:
        KubeconfigError: There is no kubeconfig, it is none, or it has no such context.
        CredentialError: It names a credential of a kind that is not known.
    """
    found = _read_all(kubeconfig, environment)
    if not found:
        in_cluster = _in_cluster(environment, service_account)
        if in_cluster is None or context:
            raise KubeconfigError(
                "no kubeconfig: looked for --kubeconfig, for the files in KUBECONFIG and for ~/.kube/config; "
                "expected one that names the cluster: give one with --kubeconfig"
            )
        return in_cluster
    return _chosen(found, context, environment)


def load_document(
    document: str, where: str, context: str | None = None, *, environment: Mapping[str, str] = os.environ
) -> Access:
    """Finds the cluster and the credentials in a kubeconfig that is no file: a stack's output.

    Args:
        document: The kubeconfig, as YAML or JSON.
        where: What to call it.
        context: The context; without it the current one.
        environment: The environment variables.

    Raises:
        KubeconfigError: It is none, or it has no such context.
        CredentialError: It names a credential of a kind that is not known.
    """
    path = Path(where)
    return _chosen([(path, _converted(path, document.encode()))], context, environment)


def _chosen(found: list[tuple[Path, _File]], context: str | None, environment: Mapping[str, str]) -> Access:
    files = " and ".join(str(path) for path, _ in found)
    name = context or next((file.current_context for _, file in found if file.current_context), "")
    if not name:
        raise KubeconfigError(f"{files}: current-context: found none; choose one with --context: {_names(found)}")
    entry = _first(found, "contexts", name)
    if entry is None:
        raise KubeconfigError(f"{files}: found no context {name!r}; expected one of {_names(found)}: see --context")
    _, chosen = entry
    return _access(found, files, name, chosen.context, environment)


def _names(found: list[tuple[Path, _File]]) -> str:
    return ", ".join(sorted({entry.name for _, file in found for entry in file.contexts or ()})) or "(there are none)"


def _first(found: list[tuple[Path, _File]], section: str, name: str) -> tuple[Path, Any] | None:
    """The first entry of that name, and the file that it stands in."""
    for path, file in found:
        for entry in getattr(file, section) or ():
            if entry.name == name:
                return path, entry
    return None


def _read_all(kubeconfig: Path | None, environment: Mapping[str, str]) -> list[tuple[Path, _File]]:
    if kubeconfig:
        return [(kubeconfig, _read(kubeconfig))]
    if named := environment.get("KUBECONFIG"):
        paths = [Path(part) for part in named.split(os.pathsep) if part]
    else:
        paths = [Path(environment.get("HOME") or Path.home(), ".kube", "config")]
    return [(path, _read(path)) for path in paths if _is_there(path)]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        # A name that is too long for one, or a folder that may not be looked into.
        raise KubeconfigError(f"{path}: {error.strerror}; expected a kubeconfig") from error


def _read(path: Path) -> _File:
    try:
        return _converted(path, path.read_bytes())
    except OSError as error:
        raise KubeconfigError(f"{path}: {error.strerror}; expected a kubeconfig") from error


def _converted(path: Path, content: bytes) -> _File:
    try:
        return msgspec.convert(_parse(path, content) or {}, _File)
    except msgspec.ValidationError as error:
        raise KubeconfigError(f"{path}: {error}; expected a kubeconfig") from error


def _parse(path: Path, content: bytes) -> Any:
    try:
        # Much faster where it is JSON, which is YAML too.
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        import yaml  # noqa: PLC0415 - 50 ms
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(content, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                # libyaml would recurse so deep that the process crashes.
                raise KubeconfigError(f"{path}: found lists in lists without end; expected a kubeconfig")
        return yaml.load(content, Loader=loader)  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, ValueError) as error:
        # A date that is none is a ValueError. Not the whole error: it quotes the line, which may be a token's.
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise KubeconfigError(f"{path}: {line}not YAML; expected a kubeconfig") from None


def _access(
    found: list[tuple[Path, _File]], files: str, name: str, context: _Context, environment: Mapping[str, str]
) -> Access:
    where = f"context {name!r} of {files}"
    cluster_entry = _first(found, "clusters", context.cluster)
    if cluster_entry is None:
        raise KubeconfigError(f"{where}: found no cluster {context.cluster!r}")
    cluster_path, named_cluster = cluster_entry
    cluster: _Cluster = named_cluster.cluster
    credentials: Credentials = Fixed()
    if context.user:
        user_entry = _first(found, "users", context.user)
        if user_entry is None:
            raise KubeconfigError(f"{where}: found no user {context.user!r}")
        user_path, named_user = user_entry
        at = f"user {context.user!r} of {user_path}"
        credentials = _credentials(at, user_path.parent, named_user.user or _User(), cluster)
    at = f"cluster {context.cluster!r} of {cluster_path}"
    authorities = _pem(
        f"{at}: certificate-authority", cluster_path.parent, cluster.certificate_authority_data,
        cluster.certificate_authority,
    )  # fmt: skip
    if authorities and cluster.insecure_skip_tls_verify:
        raise KubeconfigError(f"{at}: insecure-skip-tls-verify: found true beside a certificate-authority; remove one")
    scheme, host, port, prefix = _split(f"{at}: server", cluster.server)
    return Access(
        where=where,
        scheme=scheme,
        host=host,
        port=port,
        prefix=prefix,
        credentials=credentials,
        authorities=authorities,
        verify=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name or None,
        proxy=_proxy(f"{at}: proxy-url", cluster.proxy_url, scheme, host, environment),
        namespace=context.namespace or "default",
        context=name,
    )


def _split(where: str, url: str) -> tuple[str, str, int, str]:
    expected = "expected https://HOST:PORT"
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"https://{url}")
        port = parts.port
    except ValueError as error:
        raise KubeconfigError(f"{where}: {error}; {expected}") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.query or parts.fragment:
        # Not the address itself: it may hold a password.
        raise KubeconfigError(f"{where}: found no plain address; {expected}")
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/")


def _proxy(where: str, url: str, scheme: str, host: str, environment: Mapping[str, str]) -> Proxy | None:
    if not url:
        variable = f"{scheme}_proxy"
        where = variable.upper()
        url = environment.get(variable, "") or environment.get(variable.upper(), "")
        if not url:
            return None
        from urllib import request  # noqa: PLC0415 - 20 ms that most need not spend

        exceptions = environment.get("no_proxy", "") or environment.get("NO_PROXY", "")
        bypassed = request.proxy_bypass_environment(host, {"no": exceptions})  # type: ignore[attr-defined]
        if bypassed or host in {"127.0.0.1", "::1", "localhost"}:
            return None
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 80
    except ValueError as error:
        raise KubeconfigError(f"{where}: {error}; expected http://HOST:PORT") from error
    if parts.scheme != "http" or not parts.hostname:
        raise KubeconfigError(f"{where}: found a proxy of scheme {parts.scheme!r}; expected http://HOST:PORT")
    headers = {}
    if parts.username:
        name, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
        headers["Proxy-Authorization"] = basic(name, password)["Authorization"]
    return Proxy(parts.hostname, port, headers)


def _credentials(where: str, folder: Path, user: _User, cluster: _Cluster) -> Credentials:
    chain = _pem(f"{where}: client-certificate", folder, user.client_certificate_data, user.client_certificate)
    key = _pem(f"{where}: client-key", folder, user.client_key_data, user.client_key)
    if bool(chain) != bool(key):
        missing = "client-key" if chain else "client-certificate"
        raise KubeconfigError(f"{where}: {missing}: found none; a certificate and its key come together")
    certificate = ClientCertificate(chain, key) if chain and key else None
    credentials: Credentials
    if user.token_file:
        credentials = TokenFile(folder / user.token_file, certificate)
    elif user.token:
        credentials = Fixed(bearer(user.token), certificate)
    elif user.username:
        credentials = Fixed(basic(user.username, user.password), certificate)
    elif user.exec and not certificate:
        credentials = _plugin(f"{where}: exec", folder, user.exec, cluster)
    elif user.auth_provider and not certificate:
        raise KubeconfigError(
            f"{where}: auth-provider: Kubernetes knows it no more since 1.26; expected exec: write the kubeconfig anew "
            "with your provider's current tool"
        )
    else:
        credentials = Fixed({}, certificate)
    if user.as_name or user.as_uid or user.as_groups or user.as_user_extra:
        return Impersonating(credentials, _impersonation(where, user))
    return credentials


def _impersonation(where: str, user: _User) -> dict[str, str]:
    if not user.as_name:
        raise KubeconfigError(f"{where}: as: found none beside the other as-… settings; they need a name")
    if len(user.as_groups or ()) > 1 or any(len(values) > 1 for values in (user.as_user_extra or {}).values()):
        raise KubeconfigError(f"{where}: as-groups, as-user-extra: found several values; at most one is supported")
    headers = {"Impersonate-User": user.as_name}
    if user.as_uid:
        headers["Impersonate-Uid"] = user.as_uid
    for group in user.as_groups or ():
        headers["Impersonate-Group"] = group
    for key, values in (user.as_user_extra or {}).items():
        for value in values:
            headers[f"Impersonate-Extra-{urllib.parse.quote(key, safe='')}"] = value
    return headers


def _plugin(where: str, folder: Path, settings: _Exec, cluster: _Cluster) -> Plugin:
    command = settings.command
    if ("/" in command or os.sep in command) and not Path(command).is_absolute():
        command = str(folder / command)
    told = None
    if settings.provide_cluster_info:
        told = {
            "server": cluster.server,
            "certificate-authority-data": cluster.certificate_authority_data,
            "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
            "tls-server-name": cluster.tls_server_name,
            "proxy-url": cluster.proxy_url,
            "config": next(
                (entry.get("extension") for entry in cluster.extensions or () if entry.get("name") == _EXEC_EXTENSION),
                None,
            ),
        }
        told = {key: value for key, value in told.items() if value}
    return Plugin(
        where,
        [command, *(settings.args or ())],
        settings.api_version,
        environment={variable.name: variable.value for variable in settings.env or ()},
        cluster=told,
        hint=settings.install_hint,
        interactive=settings.interactive_mode != "Never",
    )


_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


def _pem(where: str, folder: Path, data: str, file: str) -> bytes | None:
    """What stands in the kubeconfig itself, else in the file that it names."""
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except binascii.Error:
            raise KubeconfigError(f"{where}-data: found no base64; expected base64 of PEM") from None
    if not file:
        return None
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{where}: {folder / file}: {error.strerror}; expected a PEM file") from error


def _in_cluster(environment: Mapping[str, str], folder: Path) -> Access | None:
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    token, authority = folder / "token", folder / "ca.crt"
    if not host or not port or not token.exists():
        return None
    namespace = folder / "namespace"
    try:
        return Access(
            where="the service account of this pod",
            scheme="https",
            host=host,
            port=int(port),
            credentials=TokenFile(token),
            authorities=authority.read_bytes(),
            namespace=namespace.read_text(encoding="utf-8").strip() if namespace.exists() else "default",
        )
    except OSError as error:
        raise KubeconfigError(f"{error.filename}: {error.strerror}; expected a pod's service account") from error
    except ValueError as error:
        raise KubeconfigError(f"KUBERNETES_SERVICE_PORT: {error}; expected a port") from error

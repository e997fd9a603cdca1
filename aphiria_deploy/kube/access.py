"""Where a cluster is and how to be let in: values, as the kubeconfig or the pod's own service account give them.

No secret is in a repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from aphiria_deploy.kube.deadline import Deadline


@dataclass(frozen=True)
class ClientCertificate:
    """A client certificate and its key.

    Attributes:
        certificate: PEM, the certificate first and then its chain.
        key: PEM, without a passphrase.
    """

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


class Credentials(Protocol):
    """What proves who asks. Implementations may be used by several threads."""

    def headers(self, deadline: Deadline) -> dict[str, str]:
        """Headers for the next request.

        Raises:
            CredentialError: It cannot be had.
        """

    def certificate(self, deadline: Deadline) -> ClientCertificate | None:
        """The certificate for the next connection, where that is the credential.

        Raises:
            CredentialError: It cannot be had.
        """

    def refused(self) -> bool:
        """The cluster answered 401: forgets what can be had anew, and says whether there is such a thing."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy between here and the cluster, used with CONNECT.

    Attributes:
        host: Its host.
        port: Its port.
        headers: What it is told beside, a password for example.
    """

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Access:
    """A cluster's API server, and how to be let in.

    Attributes:
        where: What it is called in messages: the context and its file.
        scheme: ``https`` or ``http``.
        host: The host or address.
        port: The port.
        prefix: What every path begins with; empty for most.
        credentials: Who asks.
        authorities: PEM of the certificate authorities; the system's where there are none.
        verify: Whether the server's certificate is checked.
        server_name: The name that the certificate must have, where it is not the host.
        proxy: Through which proxy.
        namespace: The context's namespace.
        context: The context's name; empty where there is none.
    """

    where: str
    scheme: str
    host: str
    port: int
    credentials: Credentials
    prefix: str = ""
    authorities: bytes | None = field(default=None, repr=False)
    verify: bool = True
    server_name: str | None = None
    proxy: Proxy | None = None
    namespace: str = "default"
    context: str = ""

    @property
    def url(self) -> str:
        """The server's address, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"

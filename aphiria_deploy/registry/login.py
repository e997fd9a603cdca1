"""Logins at registries."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from aphiria_deploy.masked import SecretValue


@dataclass(frozen=True)
class Login:
    """A login at a registry.

    Attributes:
        username: Who.
        password: The password or, at GHCR, a token that may read packages.
    """

    username: str
    password: SecretValue

    def basic(self) -> SecretValue:
        """The value of the header ``Authorization`` (RFC 7617)."""
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return SecretValue(f"Basic {base64.b64encode(pair).decode()}")

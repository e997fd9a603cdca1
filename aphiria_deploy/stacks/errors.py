"""What goes wrong with stacks, told from the words in which Pulumi and the providers say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aphiria_deploy.errors import AphiriaDeployError, InputError, UnavailableError


class NoPulumiError(UnavailableError):
    """The program `pulumi`, or the packages that drive it, are not on this machine."""


class NotLoggedInError(UnavailableError):
    """Pulumi's state, its secrets, or the provider's account cannot be reached without a login."""


class StackLockedError(UnavailableError):
    """Another run works on the stack, or one was cut and has left its lock."""


class UnknownStackError(InputError):
    """There is no such stack, or no such program."""


class StackSettingsError(InputError):
    """The stack's configuration cannot be used; nothing was changed."""


class StackFailedError(AphiriaDeployError):
    """The program, a provider or what it asked refused: what had been done until then stays.

    Attributes:
        transient: The same run may succeed later.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


@dataclass(frozen=True)
class _Cause:
    """What a text in Pulumi's output means.

    Attributes:
        said: What it says.
        hint: What to do.
        error: As which error it is raised.
        transient: Whether another try may help.
    """

    said: str
    hint: str
    error: type[AphiriaDeployError] = StackFailedError
    transient: bool = False


# The first that is found counts.
_CAUSES: Final[Sequence[_Cause]] = (
    _Cause(
        r"the configuration of the stack \S+ cannot be used",
        "nothing was changed; the settings are in Pulumi.{stack}.yaml and its ESC environment (docs/operations.md)",
        StackSettingsError,
    ),
    _Cause(
        r"unable to open (?:state directory|bucket)",
        "PULUMI_BACKEND_URL, or `pulumi login URL`, names where the state is: it must be there",
        NotLoggedInError,
    ),
    _Cause(
        r"PULUMI_ACCESS_TOKEN must be set|requires logging in|No credentials provided or are invalid"
        r"|SAML SSO authentication is required|could not log in to|problem logging in",
        "log in with `pulumi login` (or `pulumi login --local`), or set PULUMI_ACCESS_TOKEN",
        NotLoggedInError,
    ),
    _Cause(
        r"does not support environments",
        "the stack's ESC environments are at Pulumi's own service: log in there with `pulumi login`, or take "
        "`environment` out of Pulumi.{stack}.yaml and set what they hold with `pulumi config set --secret` "
        "(docs/SECRETS.md)",
        NotLoggedInError,
    ),
    _Cause(
        r"passphrase must be set|incorrect passphrase|PULUMI_CONFIG_PASSPHRASE_FILE",
        "set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the stack's passphrase",
        NotLoggedInError,
    ),
    _Cause(
        r"currently locked by|Another update is currently in progress",
        "wait for the other run to end; if it was cut, free the stack with `pulumi cancel --stack {stack}` in the "
        "program's folder",
        StackLockedError,
    ),
    _Cause(
        r"unknown (?:shorthand )?flag: |unknown command \"",
        "the program pulumi is not of a version that knows this: bring it to that of its packages "
        "(https://www.pulumi.com/docs/install/)",
        NoPulumiError,
    ),
    _Cause(
        r"failed to decrypt encrypted configuration value",
        "nothing was changed; set it again with `pulumi config set KEY --secret --stack {stack}`: what is encrypted "
        "for one stack is of no use in another",
        StackSettingsError,
    ),
    _Cause(
        r"The 'virtualenv' option in Pulumi\.yaml is set to",
        "make the program's virtual environment (in this checkout: `make env`)",
        NoPulumiError,
    ),
    _Cause(
        r"no stack named .* found",
        "make it with `aphiria-deploy cluster up {stack}`",
        UnknownStackError,
    ),
    _Cause(
        r"no Pulumi\.yaml project file found",
        'name the program\'s folder in pyproject.toml: [tool.aphiria-deploy] cluster = "cluster"',
        UnknownStackError,
    ),
    _Cause(
        r"Unable to authenticate you|DIGITALOCEAN_(?:ACCESS_)?TOKEN|digitalocean.{0,200}\b401\b",
        "set DIGITALOCEAN_TOKEN to a token of the account (docs/SECRETS.md), in the environment or in ESC",
        NotLoggedInError,
    ),
    _Cause(
        r"gateways\.gateway\.networking\.k8s\.io.{0,200}(?:not found|does not exist|not exist)",
        "the cluster lacks the Gateway API's CRDs: DigitalOcean's clusters have them from Kubernetes 1.33 on, if they "
        "are VPC-native; a local one gets them from the stack `local` (gatewayApi: true)",
        transient=True,
    ),
    _Cause(
        r"cannot be deleted\s+because it is protected|marked for protection",
        "the plan would delete or replace what is protected: see it with `aphiria-deploy cluster preview {stack}`; "
        "docs/operations.md says how to do it on purpose",
    ),
    _Cause(
        r"another operation \(install/upgrade/rollback\) is in progress",
        "a Helm release is locked by another run, or by one that was cut: `helm history` shows it, "
        "`helm rollback` frees it",
        transient=True,
    ),
    _Cause(
        r"\b429\b|Too ?Many ?Requests|rate limit|\b50[0234]\b|Bad Gateway|Service Unavailable|Gateway Time-?out"
        r"|connection (?:reset|refused)|broken pipe|unexpected EOF|TLS handshake|i/o timeout|no such host"
        r"|deadline exceeded|timed out|timeout (?:while|waiting)|etcdserver|temporarily unavailable"
        r"|cluster is unreachable|server is currently unable",
        "run it again: what is done already stays done",
        transient=True,
    ),
)
_COMPILED: Final = [(re.compile(cause.said, re.IGNORECASE | re.DOTALL), cause) for cause in _CAUSES]


def failure(stack: str, action: str, said: str) -> AphiriaDeployError:
    """Gives the error of a run that failed.

    Args:
        stack: The stack.
        action: What was run: ``up``.
        said: What Pulumi and the providers said of it, without secrets.
    """
    what = f"stack {stack}: {action}: {said.strip() or 'pulumi said nothing of why'}"
    for pattern, cause in _COMPILED:
        if pattern.search(said):
            message = f"{what}\n{cause.hint.format(stack=stack)}"
            if cause.error is StackFailedError:
                return StackFailedError(message, transient=cause.transient)
            return cause.error(message)
    return StackFailedError(what)

"""Which cluster a command works on, and the outputs of its stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aphiria_deploy.errors import InputError, UnavailableError
from aphiria_deploy.kube import Access, Deadline, load
from aphiria_deploy.settle import read_outputs

_ASK_SECONDS = 180.0
_OWN_CONTEXTS = ("kind-", "minikube", "docker-desktop", "k3d-", "orbstack", "rancher-desktop", "colima")


@dataclass(frozen=True)
class Where:
    """What the command line says of the cluster.

    Attributes:
        kubeconfig: The kubeconfig.
        context: The context in it.
        outputs_file: The file with the stack's outputs.
    """

    kubeconfig: Path | None
    context: str
    outputs_file: Path | None

    @property
    def is_named(self) -> bool:
        """Whether the command line names the cluster."""
        return bool(self.kubeconfig or self.context)


class Stack:
    """A stack's outputs: from a file, or asked of Pulumi, once a run and only when they are needed.

    Args:
        where: What the command line says of the cluster.
        name: The stack; none where the cluster is the user's own.
        known: Its outputs, where this run has them already.
    """

    def __init__(self, where: Where, name: str | None, known: Mapping[str, Any] | None = None) -> None:
        self._where = where
        self._name = name
        self._known = known

    @property
    def label(self) -> str:
        """What to call the outputs in an error."""
        return str(self._where.outputs_file) if self._where.outputs_file else f"stack {self._name}"

    @cached_property
    def outputs(self) -> Mapping[str, Any] | None:
        """The outputs; None where there is no stack."""
        if self._where.outputs_file:
            return read_outputs(self._where.outputs_file)
        if self._known is not None or self._name is None:
            return self._known
        return ask_stack(self._name)


def connect(where: Where, stack: Stack | None, *, local: bool = False) -> Access:
    """Finds the cluster: as the command line names it, else as the stack's outputs do.

    Args:
        where: The command line.
        stack: The stack; none where a command works on whatever the context names.
        local: Whether the cluster is the user's own: then the current context serves, if it is such a one.

    Raises:
        InputError: Nothing names the cluster.
        KubeconfigError: The kubeconfig cannot be used.
        UnavailableError: The stack cannot be asked.
    """
    if where.is_named:
        return load(where.kubeconfig, where.context or None)
    if local:
        access = load()
        if not _is_own(access):
            raise InputError(
                f"{access.where} ({access.url}): found a cluster that is not known to be local, expected minikube, "
                "kind or the like: name the one that is meant with --context"
            )
        return access
    if stack is not None and stack.outputs is not None:
        from aphiria_deploy.cluster_access import access_of

        return access_of(stack.outputs, stack.label)
    raise InputError(
        "the cluster: found none named, expected --kubeconfig FILE, --context NAME, or --outputs FILE with a kubeconfig"
        ": nothing is done in whatever cluster happens to be the current one"
    )


def ask_stack(name: str) -> Mapping[str, Any]:
    """Asks Pulumi for a stack's outputs.

    Raises:
        UnavailableError: Pulumi is not there, or asks for a login.
        InputError: There is no such stack, or it has none.
    """
    from aphiria_deploy.site import cluster_folder

    try:
        folder = cluster_folder(Path.cwd())
    except InputError as error:
        raise UnavailableError(f"stack {name}: found no outputs; give them with --outputs FILE ({error})") from error
    from aphiria_deploy.stacks.automation import Stacks
    from aphiria_deploy.stacks.runs import Runner

    deadline = Deadline.after(_ASK_SECONDS, f"the outputs of the stack {name}")
    return Runner(Stacks(folder, deadline), deadline, lambda _: None).outputs(name)


def _is_own(access: Access) -> bool:
    """Whether a cluster is the user's own: by its name, which anybody can choose, and by its address."""
    return access.context.startswith(_OWN_CONTEXTS) and _is_near(access.host)


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        # Such as localhost, or kubernetes.docker.internal.
        return "." not in host or host.endswith((".internal", ".local"))
    return address.is_private or address.is_unspecified

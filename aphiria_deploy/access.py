"""The account of a preview: whoever may make accounts makes one, and deploys as it.

What an account consists of is written in the cluster, by the preview base: this module puts the preview's number in.
What it may do is said there too, and nothing here could give it more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import AphiriaDeployError, InputError
from aphiria_deploy.kube import Change, Client, Deadline, Kind, Ref, Watched, watch
from aphiria_deploy.kube.credentials import Fixed, bearer

NAMESPACE = "aphiria-deploy-previews"
"""Where the accounts are."""
TEMPLATE = Ref(Kind("v1", "ConfigMap"), "account", NAMESPACE)
"""What an account consists of."""
FORMAT = "aphiria-deploy/account/v1"
PLACEHOLDER = "${number}"

_USER = f"system:serviceaccount:{NAMESPACE}:"
_NAMESPACE = Kind("v1", "Namespace")
_AUTHENTICATION = "authentication.k8s.io/v1"
_LEAST_SECONDS, _MOST_SECONDS = 600, 3600
_EFFECT_SECONDS = 15.0
_PAUSE_SECONDS = 0.05
# The environment's own: the engine adds to them, so what is there is left as it is.
_MADE_ONCE = frozenset({"Namespace", "NetworkPolicy"})


class AccessError(AphiriaDeployError):
    """The account of a preview cannot be had."""


@dataclass(frozen=True)
class NotSetUp:
    """The cluster has no accounts for previews.

    Attributes:
        why: In a sentence, with what to do.
    """

    why: str


def preview_access(
    client: Client, environment: str, deadline: Deadline, *, makes_namespace: bool = True
) -> Client | NotSetUp:
    """Gives a client of a preview's own account, which is made where it is not there.

    With it comes the preview's namespace, isolated: there its rights are.

    Args:
        client: The cluster, as whoever makes accounts; as that account itself it is given back.
        environment: ``pr-N``.
        deadline: By when; the account's token ends not long after.
        makes_namespace: Whether the namespace is made where it is not there: not in order to destroy it.

    Raises:
        InputError: The environment is no preview, or the client is another preview's account.
        ForbiddenError: The client may not make accounts.
        AccessError: What the cluster says of accounts cannot be used.
    """
    account = _of(environment)
    user = _user(client, deadline)
    if user == f"{_USER}{environment}":
        return client
    if user.startswith(_USER):
        raise InputError(
            f"{client.access.where}: found the account of {user.removeprefix(_USER)}, expected that of {environment}, "
            "or one that makes accounts: ask for a token of the right one"
        )
    template = client.find(TEMPLATE, deadline)
    if template is None:
        return NotSetUp(
            f"{TEMPLATE}: found none, expected what the preview base puts there: deploy preview-base, and previews run "
            "with accounts of their own"
        )
    wanted = objects(template, account)
    home = _own_namespace(wanted)
    there = _make(client, wanted, home, deadline, makes_namespace=makes_namespace)
    credentials = Fixed(bearer(_token(client, environment, deadline)))
    own = client.as_another(credentials, f"{client.access.where} as {environment}")
    try:
        _await_effect(own, _rights(wanted, home if there else None), deadline)
    except BaseException:
        own.close()
        raise
    return own


def revoke(client: Client, environment: str, deadline: Deadline) -> list[Ref]:
    """Removes a preview's account with its rights, and leaves its namespace: the last step of its destruction.

    Args:
        client: The cluster, as whoever makes accounts.
        environment: ``pr-N``.
        deadline: By when.

    Returns:
        What was removed; nothing where the client is the account itself, whose end is its maker's business, and
        where there is none.
    """
    account = _of(environment)
    if _user(client, deadline).startswith(_USER):
        return []
    template = client.find(TEMPLATE, deadline)
    refs = [Ref.of(item) for item in objects(template, account) if item["kind"] not in _MADE_ONCE] if template else []
    removed = []
    # The account goes first, and with it every token of it.
    for ref in refs:
        found = client.find(ref, deadline, metadata_only=True)
        if found is not None:
            client.delete(ref, deadline, uid=found["metadata"]["uid"], propagation="Background")
            removed.append(ref)
    return removed


def destruction_jobs(client: Client, environment: str, deadline: Deadline) -> list[Manifest] | None:
    """Gives the Jobs that drop a preview's database as its account may run them today, whatever its bundle says.

    A bundle that was recorded before the preview base changed has Jobs of then.

    Args:
        client: The cluster, as whoever makes accounts or as the account.
        environment: ``pr-N``.
        deadline: By when.

    Returns:
        The Jobs; None where the cluster has no accounts for previews.

    Raises:
        AccessError: What the cluster says of accounts cannot be used.
    """
    number = _of(environment)
    template = client.find(TEMPLATE, deadline)
    return _objects(template, "destruction", number) if template else None


def objects(template: Mapping[str, Any], number: int) -> list[Manifest]:
    """Gives what the account of a preview consists of, in the order in which it is made.

    Raises:
        AccessError: The template is not one that this version reads.
    """
    return _objects(template, "objects", number)


def _objects(template: Mapping[str, Any], key: str, number: int) -> list[Manifest]:
    data = template.get("data") or {}
    if data.get("format") != FORMAT:
        raise AccessError(
            f"{TEMPLATE}: data.format: found {data.get('format')!r}, expected {FORMAT!r}: use the version of "
            "aphiria-deploy that deployed the preview base, or a newer one"
        )
    try:
        found: list[Manifest] = json.loads(data[key].replace(PLACEHOLDER, str(number)))
    except (KeyError, ValueError) as error:
        raise AccessError(f"{TEMPLATE}: data.{key}: found {error}, expected objects: deploy preview-base") from error
    return found


def _of(environment: str) -> int:
    if not re.fullmatch(r"pr-[1-9][0-9]{0,8}", environment):
        raise InputError(f"environment: found {environment!r}, expected pr-N: previews alone have accounts")
    return int(environment.removeprefix("pr-"))


def _user(client: Client, deadline: Deadline) -> str:
    """Who asks, as the cluster knows them."""
    question = {"apiVersion": _AUTHENTICATION, "kind": "SelfSubjectReview"}
    user: str = client.review(question, deadline)["status"]["userInfo"]["username"]
    return user


def _own_namespace(wanted: Sequence[Manifest]) -> str:
    name: str = next(item["metadata"]["name"] for item in wanted if item["kind"] == "Namespace")
    return name


def _make(client: Client, wanted: Sequence[Manifest], home: str, deadline: Deadline, *, makes_namespace: bool) -> bool:
    """Makes an account, and its namespace where it is to be made; says whether that is there."""
    live = client.find(Ref(_NAMESPACE, home), deadline)
    if makes_namespace and live is not None and _is_going(live):
        _await_gone(client, live, deadline)
    there = makes_namespace or (live is not None and not _is_going(live))
    for item in wanted:
        inside = item["kind"] == "Namespace" or item["metadata"].get("namespace") == home
        if inside and not there:
            continue
        if item["kind"] not in _MADE_ONCE or client.find(Ref.of(item), deadline, metadata_only=True) is None:
            client.apply(item, deadline, force=True)
    return there


def _is_going(live: Manifest) -> bool:
    return bool(live["metadata"].get("deletionTimestamp"))


def _await_gone(client: Client, live: Manifest, deadline: Deadline) -> None:
    """Waits until a namespace that is being deleted is gone, or another one is there in its place."""
    name, uid = live["metadata"]["name"], live["metadata"]["uid"]
    there = False
    for event in watch(client, Watched(_NAMESPACE, fields=f"metadata.name={name}"), deadline):
        if event.change is Change.SYNCED and not there:
            return
        if event.object["metadata"].get("uid") == uid:
            if event.change is Change.DELETED:
                return
            there = True


def _token(client: Client, environment: str, deadline: Deadline) -> str:
    """A token of the account, which ends soon after what it is for."""
    seconds = min(max(math.ceil(deadline.remaining) + 60, _LEAST_SECONDS), _MOST_SECONDS)
    request = {"apiVersion": _AUTHENTICATION, "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
    ref = Ref(Kind("v1", "ServiceAccount"), environment, NAMESPACE)
    token: str = client.ask_of(ref, "token", request, deadline)["status"]["token"]
    return token


def _rights(wanted: Sequence[Manifest], home: str | None) -> list[dict[str, str]]:
    """What the account may do once each of its roles counts: one right of each."""
    rights = [] if home is None else [{"resource": "namespaces", "name": home, "namespace": home, "verb": "patch"}]
    for item in wanted:
        if item["kind"] == "Role":
            rule = item["rules"][0]
            right = {"group": rule["apiGroups"][0], "resource": rule["resources"][0], "name": rule["resourceNames"][0]}
            rights.append({**right, "namespace": item["metadata"]["namespace"], "verb": rule["verbs"][0]})
    return rights


def _await_effect(own: Client, rights: Sequence[Mapping[str, str]], deadline: Deadline) -> None:
    """Waits until the cluster knows of the account's rights: it hears of roles a moment after they are made."""
    soon = deadline.within(_EFFECT_SECONDS, "the new account's rights")
    for right in rights:
        question = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": dict(right)},
        }
        while not own.review(question, soon)["status"]["allowed"]:
            soon.sleep(
                _PAUSE_SECONDS, f"the new account's right to {right['verb']} {right['resource']} {right['name']}"
            )

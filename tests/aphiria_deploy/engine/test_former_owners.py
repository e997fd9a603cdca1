"""Whose an object is that is not ours, and whether somebody would still set back what is done to it."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.engine.former_owners import controlled, helm_release, owner


def _item(*managers: str, labels: dict[str, str] | None = None, **annotations: str) -> dict[str, Any]:
    names = {"release": "meta.helm.sh/release-name", "place": "meta.helm.sh/release-namespace"}
    names |= {"tracked": "argocd.argoproj.io/tracking-id"}
    return {
        "metadata": {
            "labels": labels or {},
            "annotations": {names[name]: value for name, value in annotations.items()},
            "managedFields": [{"manager": name, "operation": "Apply"} for name in managers],
        }
    }


_KUSTOMIZATION = {"kustomize.toolkit.fluxcd.io/name": "site", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
_HELM_RELEASE = {"helm.toolkit.fluxcd.io/name": "site", "helm.toolkit.fluxcd.io/namespace": "flux-system"}


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param(_item("helm", release="site", place="shop"), "the Helm release shop/site", id="helm"),
        pytest.param(_item("helm", release="site"), "the Helm release site", id="helm-without-its-namespace"),
        pytest.param(_item("helm"), "helm", id="what-is-not-of-the-release"),
        pytest.param(_item("kubectl", "kubectl-edit"), "kubectl, kubectl-edit", id="kubectl"),
        pytest.param(_item(labels=_KUSTOMIZATION), "Flux's Kustomization flux-system/site", id="flux"),
        pytest.param(
            _item("helm-controller", labels=_HELM_RELEASE, release="site", place="shop"),
            "Flux's HelmRelease flux-system/site",
            id="helm-within-flux",
        ),
        pytest.param(_item(tracked="site:apps/Deployment:x/web"), "Argo CD's Application argocd/site", id="argo-cd"),
        pytest.param(
            _item(tracked="teams_site:apps/Deployment:x/web"),
            "Argo CD's Application teams/site",
            id="argo-cd-elsewhere",
        ),
        pytest.param(_item(tracked="nonsense"), "", id="nobody"),
        pytest.param({"metadata": {"labels": None, "annotations": None}}, "", id="nothing-is-said"),
    ],
)
def test_who_has_an_object_is_told_by_its_marks(live: Any, expected: str) -> None:
    assert owner(live) == expected


def test_a_release_is_found_where_it_is_remembered() -> None:
    assert helm_release(_item(release="site", place="shop")) == ("shop", "site")
    assert helm_release(_item(place="shop")) is None


@pytest.mark.parametrize(
    ("live", "spec", "active"),
    [
        (_item(labels=_KUSTOMIZATION), {}, True),
        (_item(labels=_KUSTOMIZATION), {"suspend": False}, True),
        (_item(labels=_KUSTOMIZATION), {"suspend": True}, False),
        (_item(labels=_HELM_RELEASE), {"suspend": True}, False),
        (_item(tracked="site:x"), {"syncPolicy": {"automated": {}}}, True),
        (_item(tracked="site:x"), {"syncPolicy": {"automated": {"enabled": False}}}, False),
        (_item(tracked="site:x"), {"syncPolicy": {"automated": None}}, False),
        (_item(tracked="site:x"), {}, False),
    ],
)
def test_a_controller_fights_until_it_is_stopped(live: Any, spec: Any, active: bool) -> None:
    found = controlled(live)
    assert found
    assert found.is_active({"spec": spec}) == active


def test_what_is_said_to_do_stops_it_first_and_then_removes_nothing_else() -> None:
    flux, argo = controlled(_item(labels=_KUSTOMIZATION)), controlled(_item(tracked="site:x"))
    assert flux
    assert flux.stop == "flux suspend kustomization site --namespace flux-system"
    assert flux.forget == "flux delete kustomization site --namespace flux-system"
    assert argo
    assert argo.stop == "argocd app set argocd/site --sync-policy none"
    assert argo.forget == "argocd app delete argocd/site --cascade=false"

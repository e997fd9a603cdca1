"""What a preview may hold, as hostile bundles: each is the preview's own with one thing in it that it may not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.github.errors import PolicyError
from aphiria_deploy.github.policy import require_allowed, violations
from tests.aphiria_deploy.github.bundles import changed, manifest, preview, production

Data = dict[str, Any]
Change = Callable[[Data], object]
NAMESPACE = "preview-pr-107"
LABELS = {"app.kubernetes.io/instance": "pr-107"}


def deployment(data: Data, name: str = "web") -> Data:
    return manifest(data, "Deployment", name)


def pod(data: Data, name: str = "web") -> Data:
    found = deployment(data, name)["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def container(data: Data) -> Data:
    found = pod(data)["containers"][0]
    assert isinstance(found, dict)
    return found


def add(kind: str, api_version: str, namespace: str | None = NAMESPACE, **more: Any) -> Change:
    def change(data: Data) -> None:
        metadata = {"name": "mine", "labels": dict(LABELS)} | ({"namespace": namespace} if namespace else {})
        metadata |= more.pop("metadata", {})
        data["files"][0]["manifests"].append({"apiVersion": api_version, "kind": kind, "metadata": metadata, **more})

    return change


def secret(**more: Any) -> Change:
    given = {"namespace": NAMESPACE, "name": "mine", "keys": {"key": {"from": "generated"}}, **more}
    return lambda data: data["secrets"].append(given)


def rule(data: Data) -> Data:
    found = manifest(data, "HTTPRoute", "web")["spec"]["rules"][0]
    assert isinstance(found, dict)
    return found


def job(data: Data, prefix: str) -> Data:
    for file in data["files"]:
        for item in file["manifests"]:
            if item["metadata"]["name"].startswith(prefix):
                assert isinstance(item, dict)
                return item
    raise KeyError(prefix)


HOSTILE: dict[str, tuple[Change, str]] = {
    # Another environment
    "another preview's name": (lambda d: d["environment"].update(name="pr-108"), "environment"),
    "another preview's namespace": (lambda d: d["environment"].update(namespace="preview-pr-108"), "environment"),
    "production's namespace": (lambda d: d["environment"].update(namespace="default"), "environment"),
    "production's kind": (lambda d: d["environment"].update(kind="production"), "environment"),
    "production's stack": (lambda d: d["environment"].update(stack="production"), "environment"),
    "another number": (lambda d: d["environment"].update(number=108), "environment"),
    "another site": (lambda d: d.update(site="evil.example"), "site"),
    "another's URLs": (lambda d: d["urls"].update(web="https://www.aphiria.com"), "urls"),
    "an output that is none": (lambda d: d["outputs"].update(extra="x"), "outputs"),
    "another database as output": (lambda d: d["outputs"].update(databaseName="aphiria"), "outputs"),
    "a base of its own": (lambda d: d["base"].pop(), "base"),
    "a file outside of its folder": (lambda d: d["files"][0].update(name="../../etc/10-base"), "files[0].name"),
    # What is destroyed with it
    "no destruction": (lambda d: d.pop("destruction"), "destruction"),
    "dropping another's database": (
        lambda d: d["destruction"]["jobs"][0]["spec"]["template"]["spec"]["containers"][0]["env"].append(
            {"name": "DATABASE_NAME", "value": "aphiria_pr_108"}
        ),
        "destruction",
    ),
    "a destruction that proves nothing": (lambda d: d["destruction"].update(absent=[]), "destruction"),
    # Beyond its namespace
    "an object in default": (add("ConfigMap", "v1", "default"), "the namespace"),
    "an object in another preview": (add("ConfigMap", "v1", "preview-pr-108"), "the namespace"),
    "an object in kube-system": (add("ConfigMap", "v1", "kube-system"), "the namespace"),
    "an object without a namespace": (add("ConfigMap", "v1", None), "the namespace"),
    "a Job beside the database": (add("Job", "batch/v1", "default", spec={"template": {"spec": {}}}), "the namespace"),
    "another command beside the database": (
        lambda d: job(d, "db-init")["spec"]["template"]["spec"]["containers"][0].update(command=["sh", "-c", "env"]),
        "the namespace",
    ),
    "another image beside the database": (
        lambda d: job(d, "db-init")["spec"]["template"]["spec"]["containers"][0].update(
            image=f"ghcr.io/aphiria/aphiria.com-api@sha256:{'a' * 64}"
        ),
        "the namespace",
    ),
    "another database for the Job": (
        lambda d: job(d, "db-init")["spec"]["template"]["spec"]["containers"][0]["env"].append(
            {"name": "DATABASE_NAME", "value": "aphiria"}
        ),
        "the namespace",
    ),
    "no Job for the database": (
        lambda d: d["files"][1]["manifests"].remove(job(d, "db-init")),
        "none that is the main branch's",
    ),
    # What keeps it in its place
    "another namespace object": (
        add("Namespace", "v1", None, metadata={"name": "preview-pr-108"}),
        "keeps the preview apart",
    ),
    "weaker Pod Security": (
        lambda d: manifest(d, "Namespace")["metadata"]["labels"].update(
            {"pod-security.kubernetes.io/enforce": "privileged"}
        ),
        "keeps the preview apart",
    ),
    "a larger quota": (lambda d: manifest(d, "ResourceQuota")["spec"]["hard"].update(pods="500"), "keeps the preview"),
    "no quota": (
        lambda d: d["files"][0]["manifests"].remove(manifest(d, "ResourceQuota")),
        "none that is the main branch's",
    ),
    "an open network": (
        add("NetworkPolicy", "networking.k8s.io/v1", spec={"podSelector": {}, "egress": [{}]}),
        "keeps the preview apart",
    ),
    "a wider network policy": (
        lambda d: manifest(d, "NetworkPolicy")["spec"]["egress"].append({}),
        "keeps the preview apart",
    ),
    "no network policy": (
        lambda d: d["files"][0]["manifests"].remove(manifest(d, "NetworkPolicy")),
        "none that is the main branch's",
    ),
    # Kinds
    **{
        f"a {kind}": (add(kind, api_version, namespace), expected)
        for kind, api_version, namespace, expected in [
            ("Secret", "v1", NAMESPACE, "expected one of"),
            ("ServiceAccount", "v1", NAMESPACE, "expected one of"),
            ("Role", "rbac.authorization.k8s.io/v1", NAMESPACE, "expected one of"),
            ("RoleBinding", "rbac.authorization.k8s.io/v1", NAMESPACE, "expected one of"),
            ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", None, "the namespace"),
            ("ClusterRole", "rbac.authorization.k8s.io/v1", NAMESPACE, "expected one of"),
            ("Pod", "v1", NAMESPACE, "expected one of"),
            ("DaemonSet", "apps/v1", NAMESPACE, "expected one of"),
            ("StatefulSet", "apps/v1", NAMESPACE, "expected one of"),
            ("CronJob", "batch/v1", NAMESPACE, "expected one of"),
            ("Ingress", "networking.k8s.io/v1", NAMESPACE, "expected one of"),
            ("Gateway", "gateway.networking.k8s.io/v1", NAMESPACE, "expected one of"),
            ("Gateway", "gateway.networking.k8s.io/v1", "nginx-gateway", "the namespace"),
            ("ReferenceGrant", "gateway.networking.k8s.io/v1beta1", "default", "the namespace"),
            ("ReferenceGrant", "gateway.networking.k8s.io/v1beta1", NAMESPACE, "expected one of"),
            ("SnippetsFilter", "gateway.nginx.org/v1alpha1", NAMESPACE, "expected one of"),
            ("ObservabilityPolicy", "gateway.nginx.org/v1alpha2", NAMESPACE, "expected one of"),
            ("Certificate", "cert-manager.io/v1", NAMESPACE, "expected one of"),
            ("Issuer", "cert-manager.io/v1", NAMESPACE, "expected one of"),
            ("ClusterIssuer", "cert-manager.io/v1", None, "the namespace"),
            ("PersistentVolume", "v1", None, "the namespace"),
            ("PersistentVolumeClaim", "v1", NAMESPACE, "expected one of"),
            ("LimitRange", "v1", NAMESPACE, "expected one of"),
            ("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1", None, "the namespace"),
            ("CustomResourceDefinition", "apiextensions.k8s.io/v1", None, "the namespace"),
            ("PriorityClass", "scheduling.k8s.io/v1", None, "the namespace"),
            ("EndpointSlice", "discovery.k8s.io/v1", NAMESPACE, "expected one of"),
            ("Endpoints", "v1", NAMESPACE, "expected one of"),
            ("Lease", "coordination.k8s.io/v1", "aphiria-deploy", "the namespace"),
            ("Deployment", "apps/v1beta1", NAMESPACE, "expected one of"),
            ("ConfigMap", "evil.example/v1", NAMESPACE, "expected one of"),
        ]
    },
    # Names and metadata
    "one object twice": (lambda d: d["files"][2]["manifests"].append(manifest(d, "Service", "web")), "found it twice"),
    "a finalizer": (lambda d: deployment(d)["metadata"].update(finalizers=["evil.example/stay"]), "finalizers"),
    "an owner": (lambda d: deployment(d)["metadata"].update(ownerReferences=[{}]), "ownerReferences"),
    "a generated name": (lambda d: deployment(d)["metadata"].update(generateName="x"), "generateName"),
    "another preview's label": (
        lambda d: deployment(d)["metadata"]["labels"].update({"app.kubernetes.io/instance": "pr-108"}),
        "instance",
    ),
    "no label of its own": (
        lambda d: deployment(d)["metadata"]["labels"].pop("app.kubernetes.io/instance"),
        "instance",
    ),
    "a member of another set": (
        lambda d: deployment(d)["metadata"]["labels"].update({"applyset.kubernetes.io/part-of": "x"}),
        "applyset",
    ),
    "the engine's own label": (
        lambda d: deployment(d)["metadata"]["labels"].update({"deploy.aphiria.com/environment": "production"}),
        "deploy.aph",
    ),
    "the engine's own label on pods": (
        lambda d: deployment(d)["spec"]["template"]["metadata"]["labels"].update({"deploy.aphiria.com/site": "x"}),
        "deploy.aphiria.com/site",
    ),
    "a name that is a path": (lambda d: deployment(d)["metadata"].update(name="../x"), "a name of lower-case"),
    "a name that is a number": (lambda d: deployment(d)["metadata"].update(name=7), "a name of lower-case"),
    "a status": (lambda d: deployment(d).update(status={}), "status"),
    "labels that are a list": (lambda d: deployment(d)["metadata"].update(labels=["x"]), "texts by their names"),
    "metadata that is a text": (lambda d: deployment(d).update(metadata="x"), "an object with a kind and metadata"),
    "a kind that is none": (lambda d: deployment(d).update(kind=["Deployment"]), "an object with a kind"),
    "a namespace that is a list": (lambda d: deployment(d)["metadata"].update(namespace=[NAMESPACE]), "that are texts"),
    "a spec that is a text": (lambda d: deployment(d).update(spec="x"), "expected an object"),
    "a template that is a text": (lambda d: deployment(d)["spec"].update(template="x"), "a pod template"),
    "hundreds of objects": (lambda d: d["files"][0]["manifests"].extend([{"kind": "ConfigMap"}] * 500), "at most 200"),
    # Pods
    "a service account": (lambda d: pod(d).update(serviceAccountName="admin"), "serviceAccountName"),
    "an account's token": (lambda d: pod(d).update(automountServiceAccountToken=True), "false: no token"),
    "no word of the token": (lambda d: pod(d).pop("automountServiceAccountToken"), "false: no token"),
    "a token that is 0": (lambda d: pod(d).update(automountServiceAccountToken=0), "false: no token"),
    "a node of its choice": (lambda d: pod(d).update(nodeName="node-1"), "nodeName"),
    "a tolerated taint": (lambda d: pod(d).update(tolerations=[{"operator": "Exists"}]), "tolerations"),
    "a priority": (lambda d: pod(d).update(priorityClassName="system-cluster-critical"), "priorityClassName"),
    "a runtime of its own": (lambda d: pod(d).update(runtimeClassName="x"), "runtimeClassName"),
    "the host's network": (lambda d: pod(d).update(hostNetwork=True), "hostNetwork"),
    "the host's processes": (lambda d: pod(d).update(hostPID=True), "hostPID"),
    "aliases of hosts": (lambda d: pod(d).update(hostAliases=[{}]), "hostAliases"),
    "an ephemeral container": (lambda d: pod(d).update(ephemeralContainers=[{}]), "ephemeralContainers"),
    "the host's files": (
        lambda d: pod(d).update(volumes=[{"name": "x", "hostPath": {"path": "/"}}]),
        "one of configMap",
    ),
    "a projected token": (
        lambda d: pod(d).update(volumes=[{"name": "x", "projected": {"sources": [{"serviceAccountToken": {}}]}}]),
        "one of configMap",
    ),
    "a driver's volume": (lambda d: pod(d).update(volumes=[{"name": "x", "csi": {"driver": "x"}}]), "one of configMap"),
    "no containers": (lambda d: pod(d).update(containers=[]), "expected containers"),
    "containers that are none": (lambda d: pod(d).update(containers=["sh"]), ".image"),
    "a probe of another host": (
        lambda d: container(d).update(livenessProbe={"httpGet": {"host": "169.254.169.254", "port": 80}}),
        "the pod itself",
    ),
    "a hook at another host": (
        lambda d: container(d).update(lifecycle={"postStart": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
        "the pod itself",
    ),
    # Images
    "an image of another": (
        lambda d: container(d).update(image=f"evil.example/x@sha256:{'e' * 64}"),
        "one of the bundle's",
    ),
    "a private image of the same owner": (
        lambda d: container(d).update(image=f"ghcr.io/aphiria/secret@sha256:{'e' * 64}"),
        "one of the bundle's",
    ),
    "a tag": (lambda d: container(d).update(image="ghcr.io/aphiria/aphiria.com-web:latest"), "one of the bundle's"),
    "an image that the bundle does not name": (
        lambda d: container(d).update(image=f"ghcr.io/aphiria/aphiria.com-web@sha256:{'e' * 64}"),
        "one of the bundle's",
    ),
    "an image that is no text": (lambda d: container(d).update(image=["x"]), "one of the bundle's"),
    "another repository among the images": (
        lambda d: d["images"]["web"].update(ref=f"ghcr.io/aphiria/other@sha256:{'b' * 64}"),
        "images.web",
    ),
    "another registry among the images": (
        lambda d: d["images"]["web"].update(ref=f"evil.example/aphiria/aphiria.com-web@sha256:{'b' * 64}"),
        "images.web",
    ),
    "a tag among the images": (
        lambda d: d["images"]["web"].update(ref="ghcr.io/aphiria/aphiria.com-web:1"),
        "images.web",
    ),
    "what is no reference among the images": (lambda d: d["images"]["web"].update(ref="$(id)"), "images.web"),
    "an image that the site does not have": (
        lambda d: d["images"].update(mine={"ref": f"ghcr.io/aphiria/aphiria.com-web@sha256:{'b' * 64}"}),
        "images.mine",
    ),
    "a sample": (lambda d: d["images"]["web"].update(sample=True), "an image that was built"),
    # Secrets
    "the database's administrator": (
        secret(keys={"key": {"from": "output", "name": "postgresqlAdminPassword"}}),
        "a Secret that the main branch has",
    ),
    "the kubeconfig": (secret(keys={"key": {"from": "output", "name": "kubeconfig"}}), "a Secret that the main branch"),
    "a variable of the job": (
        secret(keys={"key": {"from": "variable", "name": "GITHUB_TOKEN"}}),
        "a Secret that the main",
    ),
    "a login at a registry": (
        secret(
            keys={
                "key": {
                    "from": "registry-login",
                    "registry": "evil.example",
                    "username": "ghcrUsername",
                    "token": "ghcrToken",
                }
            }
        ),
        "a Secret that the main branch has",
    ),
    "the known login for another registry": (
        lambda d: d["secrets"][2]["keys"][".dockerconfigjson"].update(registry="evil.example"),
        "a Secret that the main",
    ),
    "a verifier of another's password": (
        secret(
            keys={"key": {"from": "scram-sha-256", "namespace": "default", "secret": "db-admin", "key": "password"}}
        ),
        "a Secret that the main branch has",
    ),
    "a Secret in default": (secret(namespace="default"), "a Secret that the main branch has"),
    "another's role": (secret(namespace="default", name="db-role-pr-108"), "a Secret that the main branch has"),
    "a Secret of another type": (secret(type="kubernetes.io/service-account-token"), "a Secret that the main branch"),
    "a Secret with labels": (secret(labels={"applyset.kubernetes.io/part-of": "x"}), "a Secret that the main branch"),
    "a Secret with a name that is a path": (secret(name="../x"), "a Secret that the main branch"),
    "a password that is known": (
        lambda d: d["secrets"][0]["keys"].update(DB_PASSWORD={"from": "constant", "value": "x"}),
        "a Secret that the main",
    ),
    "a Secret twice": (lambda d: d["secrets"].append(dict(d["secrets"][0])), "each Secret once"),
    "no Secret of its role": (lambda d: d["secrets"].pop(1), "which the main branch has"),
    "reading the pull secret": (
        lambda d: container(d).update(envFrom=[{"secretRef": {"name": "ghcr-pull-secret"}}]),
        "the Secret",
    ),
    "mounting the pull secret": (
        lambda d: pod(d).update(volumes=[{"name": "x", "secret": {"secretName": "ghcr-pull-secret"}}]),
        "the Secret",
    ),
    "a key of the pull secret": (
        lambda d: container(d).update(
            env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "ghcr-pull-secret", "key": ".dockerconfigjson"}}}]
        ),
        "the Secret",
    ),
    "a Secret that nobody declared": (
        lambda d: container(d).update(envFrom=[{"secretRef": {"name": "db-admin"}}]),
        "the Secret",
    ),
    "pulling with another Secret": (
        lambda d: pod(d).update(imagePullSecrets=[{"name": "env-var-secrets"}]),
        "imagePullSecrets",
    ),
    # Services and routes
    "a way in of its own": (
        lambda d: manifest(d, "Service", "web")["spec"].update(type="LoadBalancer"),
        "the only way in",
    ),
    "a port of the nodes": (lambda d: manifest(d, "Service", "web")["spec"].update(type="NodePort"), "the only way in"),
    "a Service that is elsewhere": (
        lambda d: manifest(d, "Service", "web")["spec"].update(type="ExternalName", externalName="db.default"),
        "the only way in",
    ),
    "an address of another's": (
        lambda d: manifest(d, "Service", "web")["spec"].update(externalIPs=["10.0.0.1"]),
        "externalIPs",
    ),
    "a cluster address of its choice": (
        lambda d: manifest(d, "Service", "web")["spec"].update(clusterIP="10.245.0.10"),
        "a headless Service",
    ),
    "production's host": (
        lambda d: manifest(d, "HTTPRoute", "web")["spec"].update(hostnames=["www.aphiria.com"]),
        "spec.hostnames",
    ),
    "another preview's host": (
        lambda d: manifest(d, "HTTPRoute", "web")["spec"].update(hostnames=["108.pr.aphiria.com"]),
        "spec.hostnames",
    ),
    "every host": (
        lambda d: manifest(d, "HTTPRoute", "web")["spec"].update(hostnames=["*.pr.aphiria.com"]),
        "spec.hostnames",
    ),
    "no host": (lambda d: manifest(d, "HTTPRoute", "web")["spec"].pop("hostnames"), "spec.hostnames"),
    "hosts that are none": (lambda d: manifest(d, "HTTPRoute", "web")["spec"].update(hostnames=[{}]), "spec.hostnames"),
    "the HTTP listener": (
        lambda d: manifest(d, "HTTPRoute", "web")["spec"]["parentRefs"][0].update(sectionName="http-subdomains-1"),
        "a listener that the main branch's routes have",
    ),
    "another Gateway": (
        lambda d: manifest(d, "HTTPRoute", "web")["spec"]["parentRefs"][0].update(name="other"),
        "a listener that the main",
    ),
    "another's Service": (lambda d: rule(d)["backendRefs"][0].update(namespace="default"), "backendRefs"),
    "what is no Service": (lambda d: rule(d)["backendRefs"][0].update(kind="Secret"), "a Service of the preview's own"),
    "the Gateway's own configuration": (
        lambda d: rule(d).update(filters=[{"type": "ExtensionRef", "extensionRef": {"kind": "SnippetsFilter"}}]),
        "one of RequestHeaderModifier",
    ),
    "a mirror of requests": (
        lambda d: rule(d).update(filters=[{"type": "RequestMirror", "requestMirror": {}}]),
        "one of RequestHeaderModifier",
    ),
    "two filters in one": (
        lambda d: rule(d).update(filters=[{"type": "URLRewrite", "urlRewrite": {}, "requestMirror": {}}]),
        "one of RequestHeaderModifier",
    ),
    "a redirect to elsewhere": (
        lambda d: rule(d).update(
            filters=[{"type": "RequestRedirect", "requestRedirect": {"hostname": "evil.example"}}]
        ),
        "a host of the preview's own",
    ),
    "another's host for its Service": (
        lambda d: rule(d).update(filters=[{"type": "URLRewrite", "urlRewrite": {"hostname": "db.default"}}]),
        "a host of the preview's own",
    ),
    "a filter behind a Service": (
        lambda d: rule(d)["backendRefs"][0].update(filters=[{"type": "ExtensionRef"}]),
        "one of RequestHeaderModifier",
    ),
    "a rule that is none": (lambda d: manifest(d, "HTTPRoute", "web")["spec"].update(rules=["x"]), "expected a rule"),
    "a limit of the whole Gateway's": (
        lambda d: manifest(d, "RateLimitPolicy", "web")["spec"]["targetRefs"][0].update(kind="Gateway"),
        "target",
    ),
    "settings of another's route": (
        lambda d: manifest(d, "ClientSettingsPolicy", "web")["spec"]["targetRef"].update(namespace="default"),
        "target",
    ),
    "a policy of nothing": (lambda d: manifest(d, "RateLimitPolicy", "web")["spec"].pop("targetRefs"), "no target"),
    # What is asked from where the deploy runs
    "a check of the machine's own metadata": (
        lambda d: d["checks"].append({"check": "health", "url": "http://169.254.169.254/latest/", "status": 200}),
        "checks[4]",
    ),
    "a check of production": (lambda d: d["checks"][0].update(url="https://www.aphiria.com/"), "checks[0]"),
    "a check of a file": (lambda d: d["checks"][0].update(url="file:///etc/passwd"), "checks[0]"),
    "a check with a login": (
        lambda d: d["checks"][0].update(url="https://107.pr.aphiria.com@evil.example/"),
        "checks[0]",
    ),
    "a check with a backslash": (
        lambda d: d["checks"][0].update(url="https://107.pr.aphiria.com\\.evil.example/"),
        "checks[0]",
    ),
    "a check at another port": (lambda d: d["checks"][0].update(url="https://107.pr.aphiria.com:6443/"), "checks[0]"),
    "a check that is no URL": (lambda d: d["checks"][0].update(url="https://[::1"), "checks[0]"),
    "a check of another origin": (lambda d: d["checks"][2].update(origin="https://evil.example"), "checks[2]"),
    "a check of a redirect to elsewhere": (
        lambda d: d["checks"][3].update(location="https://evil.example/"),
        "checks[3]",
    ),
    # What the rules are told
    "no private registries": (lambda d: d["contract"].update(privateRegistries=[]), "contract.private_registries"),
    "fewer previews than there are": (lambda d: d["contract"].update(previews=2), "contract.previews"),
    "no ranges of the cluster": (lambda d: d["contract"].update(clusterCidrs=[]), "contract.cluster_cidrs"),
    "no cookie domain of production": (
        lambda d: d["contract"].pop("productionCookieDomain"),
        "contract.production_cookie_domain",
    ),
    # What the rules find
    "a rule that it silences": (
        lambda d: (
            pod(d)["securityContext"].update(runAsNonRoot=False)
            or container(d)["securityContext"].update(runAsNonRoot=False)
            or deployment(d)["metadata"].update(annotations={"deploy.aphiria.com/silence.root-container": "I want it"})
        ),
        "the rule root-container silenced",
    ),
    "privilege": (lambda d: container(d)["securityContext"].update(privileged=True), "no finding of privileged"),
    "a value of a secret": (
        lambda d: container(d).update(env=[{"name": "DB_PASSWORD", "value": "hunter2hunter2"}]),
        "no finding of literal-secret",
    ),
    "more than the quota allows": (lambda d: deployment(d)["spec"].update(replicas=9), "no finding of quota-budget"),
    "a misspelt field": (lambda d: deployment(d)["spec"].update(replica=1), "no finding of unknown-field"),
}


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_bundle_is_refused(title: str) -> None:
    change, expected = HOSTILE[title]
    found = [str(one) for one in violations(changed(preview(), change), preview())]

    assert any(expected in one for one in found), found
    assert all("expected" in one and "found" in one for one in found)


def _new_setting(data: Data) -> None:
    manifest(data, "ConfigMap", "env-vars")["data"]["NEW_FLAG"] = "1"
    data["contract"]["environmentVariables"][0]["required"].append("NEW_FLAG")


def _own_secret(data: Data) -> None:
    """A generated secret, and a container that reads it."""
    secret(name="worker")(data)
    container(data)["envFrom"] = [{"secretRef": {"name": "worker"}}]


BENIGN: dict[str, Change] = {
    "nothing": lambda _: None,
    "a new setting": _new_setting,
    "another command of the migrations": lambda d: job(d, "db-migration")["spec"]["template"]["spec"]["containers"][
        0
    ].update(command=["sh", "-c", "vendor/bin/phinx migrate"]),
    "another file beside the configuration": lambda d: manifest(d, "ConfigMap", "js-config")["data"].update(more="x"),
    "a Secret of its own": _own_secret,
    "another limit of requests": lambda d: manifest(d, "RateLimitPolicy", "web")["spec"]["rateLimit"]["local"]["rules"][
        0
    ].update(burst=40),
    "a redirect of its own": lambda d: rule(d).update(
        filters=[{"type": "RequestRedirect", "requestRedirect": {"hostname": "107.pr.aphiria.com", "statusCode": 301}}]
    ),
}


@pytest.mark.parametrize("title", BENIGN)
def test_what_a_pull_request_may_change_is_let_through(title: str) -> None:
    require_allowed(changed(preview(), BENIGN[title]), preview())


def test_another_digest_of_a_known_image_is_let_through() -> None:
    old = preview().images["nginx"].ref

    def update(data: Data) -> None:
        new = f"{old.partition('@')[0]}@sha256:{'9' * 64}"
        data["images"]["nginx"]["ref"] = new
        pod(data, "api")["containers"][0]["image"] = new
        for container in pod(data, "api")["containers"]:
            container["image"] = new if container["image"] == old else container["image"]

    assert violations(changed(preview(), update), preview()) == []


def test_all_of_it_is_told_at_once() -> None:
    def change(data: Data) -> None:
        HOSTILE["the kubeconfig"][0](data)
        HOSTILE["production's host"][0](data)

    with pytest.raises(PolicyError) as raised:
        require_allowed(changed(preview(), change), preview())

    assert str(raised.value).count("\n") == 2
    assert raised.value.exit_code == 2


def test_production_is_no_preview() -> None:
    found = violations(production(), production())

    assert "this policy is for no other" in str(found[0])


def test_what_is_true_for_python_alone_is_not_the_same() -> None:
    def change(data: Data) -> None:
        manifest(data, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] = 80.0

    bundle: Bundle = changed(preview(), change)
    assert any("keeps the preview apart" in str(one) for one in violations(bundle, preview()))


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in children for place in _places(value, (*path, key)))]


PLACES = _places(json.loads(msgspec.json.encode(preview()))["files"], ("files",))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([place for place in PLACES if "manifests" in place and place[-1] != "manifests"]), ANYTHING)
def test_whatever_stands_anywhere_is_judged(place: tuple[Any, ...], value: Any) -> None:
    data = json.loads(msgspec.json.encode(preview()))
    holder = data
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    data.pop("hash")
    try:
        bundle = msgspec.convert(data, Bundle)
    except msgspec.ValidationError:
        return

    for one in violations(bundle, preview()):
        assert "\n" not in str(one)

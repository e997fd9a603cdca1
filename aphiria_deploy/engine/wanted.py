"""What a deploy wants to be in the cluster: a bundle's objects as they are applied. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aphiria_deploy.bundle import Bundle, Manifest, ManifestFile
from aphiria_deploy.engine.applyset import as_member
from aphiria_deploy.engine.jobs import identities, is_job, with_identities
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE
from aphiria_deploy.engine.waves import Wave, waves
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.secrets import MadeSecret, SecretRef, with_secret_versions


@dataclass(frozen=True)
class Wanted:
    """The objects of an environment, in the order in which they are applied.

    Attributes:
        waves: The objects, with the labels and annotations that the engine adds.
        secrets: Those of them that hold what nobody may see, by their keys.
    """

    waves: tuple[Wave, ...]
    secrets: Mapping[ObjectKey, MadeSecret]

    @property
    def manifests(self) -> list[Manifest]:
        """All objects."""
        return [manifest for wave in self.waves for manifest in wave.manifests]


def wanted(bundle: Bundle, secrets: Sequence[MadeSecret], set_id: str, uids: Mapping[ObjectKey, str]) -> Wanted:
    """Gives what a bundle wants to be in the cluster.

    Args:
        bundle: The bundle.
        secrets: Its Secrets.
        set_id: The ID of the environment's ApplySet.
        uids: The UIDs of the objects whose identity Jobs belong to.

    Raises:
        OrderError: Its objects depend on each other in a way that no order satisfies.
    """
    versions = {SecretRef(*secret.ref): secret.version for secret in secrets}
    files = [ManifestFile(name=file.name, manifests=list(file.manifests)) for file in bundle.files]
    made = {ObjectKey.of(secret.manifest): secret for secret in secrets}
    if made:
        # Into the first file, whose namespaces come before them and whose workloads after.
        first = files[0] if files else ManifestFile(name="10-base", manifests=[])
        files[:1] = [ManifestFile(name=first.name, manifests=[*first.manifests, *(s.manifest for s in made.values())])]
    ordered = waves(files)
    labels = _labels(bundle)
    finished = tuple(
        Wave(wave.name, tuple(_finished(item, labels, set_id, versions, uids) for item in wave.manifests))
        for wave in ordered
    )
    return Wanted(finished, made)


def wanted_secrets(bundle: Bundle, secrets: Sequence[MadeSecret], set_id: str) -> list[Manifest]:
    """Gives Secrets as they are applied, with the labels that the engine adds."""
    return [_finished(secret.manifest, _labels(bundle), set_id, {}, {}) for secret in secrets]


def _labels(bundle: Bundle) -> dict[str, str]:
    return {ENVIRONMENT: bundle.environment.name, SITE: bundle.site}


def _finished(
    manifest: Manifest,
    labels: Mapping[str, str],
    set_id: str,
    versions: Mapping[SecretRef, int],
    uids: Mapping[ObjectKey, str],
) -> Manifest:
    item = with_identities(with_secret_versions(manifest, versions), uids)
    metadata = item["metadata"]
    return as_member(item | {"metadata": metadata | {"labels": {**metadata.get("labels", {}), **labels}}}, set_id)


def needed_identities(manifests: Iterable[Manifest]) -> list[ObjectKey]:
    """Gives the objects whose UIDs the Jobs among these need."""
    return list(dict.fromkeys(key for manifest in manifests if is_job(manifest) for key in identities(manifest)))

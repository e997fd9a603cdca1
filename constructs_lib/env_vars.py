"""Environment variables that several pods of a site share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.checksum import checksum
from constructs_lib.placement import Placement
from constructs_lib.pod import EnvSource, check_env_names
from constructs_lib.workload import config_map


@dataclass(frozen=True, kw_only=True)
class EnvVarsProps:
    """What a set of environment variables is made of.

    Attributes:
        placement: Where it lives.
        values: The variables that are not secret.
        name: The ConfigMap's name.
        secrets: Secrets, by name, all of whose keys become variables too.
        app: The application that the ConfigMap is labelled as a part of.
        annotations: Annotations of the ConfigMap.

    Raises:
        InvalidValueError: A name is not one of an environment variable.
    """

    placement: Placement
    values: Mapping[str, str]
    name: str = "env-vars"
    secrets: Sequence[str] = ()
    app: str = "api"
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_env_names(self.values)


class EnvVars(Manifest):
    """A ConfigMap of environment variables, and the Secrets beside it.

    Attributes:
        source: What pods take their variables from.
    """

    def __init__(self, scope: Construct, id: str, props: EnvVarsProps) -> None:  # noqa: A002 - cdk8s's name
        manifest = config_map(props.placement, props.name, props.values, app=props.app, component="configuration")
        if props.annotations:
            manifest["metadata"]["annotations"] = dict(props.annotations)
        super().__init__(scope, id, manifest)
        self.source = EnvSource(config_map=props.name, checksum=checksum(dict(props.values)), secrets=props.secrets)

"""A front end: static files behind nginx, or a server of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.order import ObjectRef
from constructs_lib.placement import Placement
from constructs_lib.pod import (
    Drain,
    HttpProbe,
    PodOptions,
    User,
    Volume,
    check_env_names,
    container,
    env_list,
    pod_spec,
)
from constructs_lib.values import ImageRef, Resources
from constructs_lib.workload import ServiceRef, add_workload, config_map, workload_problems

_COMPONENT = "frontend"
# https://tc39.es/ecma262/#prod-ReservedWord, and what strict mode, which modules always are in, reserves besides.
_RESERVED = frozenset(
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends "
    "false finally for function if implements import in instanceof interface let new null package private protected "
    "public return static super switch this throw true try typeof var void while with yield".split()
)


@dataclass(frozen=True, kw_only=True)
class JavaScriptModule:
    """Configuration that the front end imports at run time, as a module with one export for each value.

    ``import { apiUri } from "/js/config/config.js"`` and the module's default export both give the values.

    Attributes:
        values: The values, by the names under which they are exported.
        mount_path: The folder that the module is mounted into, below the server's root.
        file: The module's file name.
        config_map: The name of the ConfigMap that holds it.

    Raises:
        InvalidValueError: A name cannot be a variable of JavaScript.
    """

    values: Mapping[str, str]
    mount_path: str = "/usr/share/nginx/html/js/config"
    file: str = "config.js"
    config_map: str = "js-config"

    def __post_init__(self) -> None:
        for name in self.values:
            if not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name) or name in _RESERVED:
                raise InvalidValueError(
                    "name of an exported value", name, "a JavaScript identifier that is not reserved"
                )

    def source(self) -> str:
        """The module's text. No value can end its string, the script that it stands in, or the line."""
        # Beside what JSON escapes, all that is not ASCII and what HTML would read in an inline script.
        escapes = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
        # One by one, and no variable beside them: so that every name is free, `config` and `__proto__` too.
        exports = [
            f"export const {name} = {json.dumps(value).translate(escapes)};" for name, value in self.values.items()
        ]
        return "\n".join([*exports, f"export default {{ {', '.join(self.values)} }};", ""])


@dataclass(frozen=True, kw_only=True)
class WebAppProps:
    """What a front end is made of.

    Attributes:
        placement: Where it lives.
        image: What it runs.
        name: The name of its objects and its container.
        replicas: How many pods.
        port: The port that it listens on, and that its Service has.
        resources: What the container is promised and may use; required where the namespace has a quota.
        user: As whom it runs; nginx's own user by default.
        runtime_config: Configuration that the browser imports.
        environment: Environment variables, in the ConfigMap ``<name>-env-vars``.
        readiness: When it gets requests.
        liveness: When it is restarted.
        writable_paths: Where it writes; the rest of its file system is read-only.
        drain: How it ends.
        pre_stop: The command that runs before it is told to end; by default one that pauses, after which the image's
            own stop signal ends it. ``{pause}`` and ``{rest}`` stand for the seconds of the pause and of what is left.
        after: What must be complete before a pod of it starts: the migrations.
        options: What the site adds to the pod.

    Raises:
        InvalidPropsError: A prop is not valid; all problems are listed.
    """

    placement: Placement
    image: ImageRef
    name: str = "web"
    replicas: int = 1
    port: int = 80
    resources: Resources | None = None
    user: User = User(101, 101)
    runtime_config: JavaScriptModule | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    readiness: HttpProbe = HttpProbe(path="/", period=5)
    liveness: HttpProbe = HttpProbe(path="/", initial_delay=10, period=30)
    writable_paths: Sequence[str] = ("/var/cache/nginx", "/run", "/tmp")  # noqa: S108 - paths in the container
    drain: Drain = Drain()
    # nginx finishes what it serves; its end ends the container, and the sleep with it.
    pre_stop: Sequence[str] = ("sh", "-c", "sleep {pause}; nginx -s quit; sleep {rest}")
    after: Sequence[ObjectRef] = ()
    options: PodOptions = PodOptions()

    def __post_init__(self) -> None:
        problems = workload_problems(self.name, self.replicas, self.port)
        try:
            check_env_names(self.environment)
        except InvalidValueError as error:
            problems.append(str(error))
        if problems:
            raise InvalidPropsError(f"WebApp {self.name}: {problem}" for problem in problems)


class WebApp(Construct):
    """A front end: Deployment, Service, its ConfigMaps, and a PodDisruptionBudget from two replicas on.

    Attributes:
        service: Its Service, for routes.
    """

    def __init__(self, scope: Construct, id: str, props: WebAppProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        self.service: ServiceRef = add_workload(
            self,
            props.placement,
            name=props.name,
            component=_COMPONENT,
            replicas=props.replicas,
            port=props.port,
            pod=_pod(props),
            config=self._add_config(props),
            after=props.after,
            options=props.options,
        )

    def _add_config(self, props: WebAppProps) -> dict[str, Mapping[str, str]]:
        config: dict[str, Mapping[str, str]] = {}
        if props.runtime_config:
            config[props.runtime_config.config_map] = {props.runtime_config.file: props.runtime_config.source()}
        if props.environment:
            config[_env_vars(props)] = props.environment
        for name, data in config.items():
            Manifest(self, name, config_map(props.placement, name, data, app=props.name, component=_COMPONENT))
        return config


def _env_vars(props: WebAppProps) -> str:
    return f"{props.name}-env-vars"


def _pod(props: WebAppProps) -> dict[str, object]:
    volumes = [*map(Volume.scratch, props.writable_paths), *props.options.volumes]
    if props.runtime_config:
        volumes.append(Volume.config(props.runtime_config.config_map, props.runtime_config.mount_path))
    server = container(
        props.name,
        props.image,
        props.user,
        resources=props.resources,
        ports={"http": props.port},
        env=env_list(props.options.env),
        env_from=[{"configMapRef": {"name": _env_vars(props)}}] if props.environment else [],
        volumes=volumes,
        probes={"readinessProbe": props.readiness.manifest("http"), "livenessProbe": props.liveness.manifest("http")},
        pre_stop=_pre_stop(props),
    )
    return pod_spec(
        [server],
        volumes=volumes,
        options=props.options,
        grace=props.drain.grace,
        spread=props.name if props.replicas > 1 else None,
    )


def _pre_stop(props: WebAppProps) -> list[str]:
    # Not str.format: a shell has braces of its own.
    pause, rest = str(props.drain.pause), str(props.drain.grace - props.drain.pause)
    return [part.replace("{pause}", pause).replace("{rest}", rest) for part in props.pre_stop]

"""An API of PHP: nginx in front of PHP-FPM, as two containers of one pod that share the code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.errors import InvalidPropsError
from constructs_lib.order import ObjectRef
from constructs_lib.placement import Placement
from constructs_lib.pod import (
    Drain,
    EnvSource,
    HttpProbe,
    PodOptions,
    TcpProbe,
    User,
    Volume,
    container,
    env_list,
    pod_spec,
)
from constructs_lib.values import BodySize, ImageRef, Resources, network_problems
from constructs_lib.workload import ServiceRef, add_workload, config_map, workload_problems

_COMPONENT = "backend"
_FASTCGI_PORT = 9000
_SERVER_ROOT = "/usr/share/nginx/html"
_FPM_PID = "/tmp/php-fpm.pid"  # noqa: S108 - a path in the container
_FPM_FILE = "zzz-drain.conf"


@dataclass(frozen=True, kw_only=True)
class ApiResources:
    """What the containers of an API are promised and may use.

    Attributes:
        nginx: The web server.
        php: PHP-FPM.
        copy_code: The init container that copies the code.
    """

    nginx: Resources
    php: Resources
    copy_code: Resources


@dataclass(frozen=True, kw_only=True)
class ApiProps:
    """What an API is made of.

    Attributes:
        placement: Where it lives.
        image: PHP-FPM with the site's code, which is copied to where nginx serves it.
        nginx_image: The web server.
        environment: The variables of the PHP container.
        name: The name of its objects.
        replicas: How many pods.
        port: The port of nginx, and of the Service.
        resources: What the containers are promised and may use; required where the namespace has a quota.
        code_path: Where the code lies in the image.
        public_path: The folder below the code that nginx serves, with the front controller ``index.php``.
        php_user: As whom PHP and the copying run; ``www-data`` of the official PHP images by default.
        nginx_user: As whom nginx runs; its own user by default.
        fpm_config_path: The folder whose ``*.conf`` PHP-FPM includes; that of the official images by default.
        max_body_size: The largest request body, of nginx and of PHP, and so the largest file too.
        request_timeout: Seconds that PHP may take for an answer.
        trusted_proxies: Networks whose word (``X-Forwarded-For``) nginx takes for the client's address.
        readiness: When it gets requests: a request through nginx to PHP.
        liveness: When nginx is restarted.
        php_probe: When PHP-FPM is ready and alive: it speaks FastCGI, so a connection has to do.
        drain: How it ends.
        after: What must be complete before a pod of it starts: the migrations.
        options: What the site adds to the pod; the variables and volumes go to the PHP container.

    Raises:
        InvalidPropsError: A prop is not valid; all problems are listed.
    """

    placement: Placement
    image: ImageRef
    nginx_image: ImageRef
    environment: EnvSource
    name: str = "api"
    replicas: int = 1
    port: int = 80
    resources: ApiResources | None = None
    code_path: str = "/app/api"
    public_path: str = "public"
    php_user: User = User(33, 33)
    nginx_user: User = User(101, 101)
    fpm_config_path: str = "/usr/local/etc/php-fpm.d"
    max_body_size: BodySize = BodySize("10m")
    request_timeout: int = 60
    trusted_proxies: Sequence[str] = ()
    readiness: HttpProbe = HttpProbe(path="/health", period=5)
    liveness: HttpProbe = HttpProbe(path="/health", initial_delay=10, period=30)
    php_probe: TcpProbe = TcpProbe(period=10)
    drain: Drain = Drain()
    after: Sequence[ObjectRef] = ()
    options: PodOptions = PodOptions()

    def __post_init__(self) -> None:
        problems = workload_problems(self.name, self.replicas, self.port)
        if self.port == _FASTCGI_PORT:
            problems.append(f"port: found {self.port}, expected another one than PHP-FPM's")
        if not self.code_path.startswith("/") or self.code_path.endswith("/"):
            problems.append(f"code_path: found {self.code_path!r}, expected an absolute path without '/' at its end")
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", self.public_path):
            problems.append(
                f"public_path: found {self.public_path!r}, expected a folder below the code, such as public"
            )
        if self.request_timeout < 1:
            problems.append(f"request_timeout: found {self.request_timeout}, expected 1 second or more")
        problems += network_problems("trusted_proxies", self.trusted_proxies)
        if problems:
            raise InvalidPropsError(f"Api {self.name}: {problem}" for problem in problems)


class Api(Construct):
    """An API of PHP: Deployment, Service, its ConfigMaps, and a PodDisruptionBudget from two replicas on.

    Attributes:
        service: Its Service, for routes.
    """

    def __init__(self, scope: Construct, id: str, props: ApiProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        config = {
            _nginx_config(props): {"default.conf": nginx_config(props)},
            _php_config(props): {_FPM_FILE: fpm_config(props)},
        }
        for name, data in config.items():
            Manifest(self, name, config_map(props.placement, name, data, app=props.name, component=_COMPONENT))
        self.service: ServiceRef = add_workload(
            self,
            props.placement,
            name=props.name,
            component=_COMPONENT,
            replicas=props.replicas,
            port=props.port,
            pod=_pod(props),
            config={**config, props.environment.config_map: props.environment.checksum},
            after=props.after,
            options=props.options,
        )


def nginx_config(props: ApiProps) -> str:
    """Gives nginx's ``default.conf``: every path that is no file goes to the front controller, and no other script."""
    trusted = "".join(f"    set_real_ip_from {proxy};\n" for proxy in props.trusted_proxies)
    if trusted:
        trusted += "    real_ip_header X-Forwarded-For;\n    real_ip_recursive on;\n\n"
    return f"""\
# TLS ends at the Gateway, which says so.
map $http_x_forwarded_proto $forwarded_https {{
    default "";
    https   on;
}}

server {{
    listen {props.port};
    server_name _;
    root {_SERVER_ROOT}/{props.public_path};
    server_tokens off;
    client_max_body_size {props.max_body_size};

{trusted}\
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options SAMEORIGIN always;

    location / {{
        try_files $uri /index.php$is_args$args;
    }}

    location = /index.php {{
        include fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root/index.php;
        fastcgi_param HTTPS $forwarded_https if_not_empty;
        # A request's Proxy header must not become the variable HTTP_PROXY (CVE-2016-5385).
        fastcgi_param HTTP_PROXY "";
        # PHP has limits of its own, and drops the fields of a form that is larger without an error.
        fastcgi_param PHP_VALUE "post_max_size={props.max_body_size}\\nupload_max_filesize={props.max_body_size}";
        fastcgi_hide_header X-Powered-By;
        fastcgi_read_timeout {props.request_timeout}s;
        fastcgi_pass 127.0.0.1:{_FASTCGI_PORT};
    }}

    # No other script runs, none is served as text, not even a copy of one, and no hidden file is served at all.
    location ~* \\.(php[0-9]?|phtml|phar)([/.~]|$) {{
        return 404;
    }}
    location ~ /\\.(?!well-known/) {{
        return 404;
    }}
}}
"""


def fpm_config(props: ApiProps) -> str:
    """Gives what PHP-FPM needs to end gracefully: without the timeout a QUIT becomes a TERM at once."""
    return f"[global]\npid = {_FPM_PID}\nprocess_control_timeout = {props.drain.grace - props.drain.pause}s\n"


def nginx_pre_stop(props: ApiProps) -> list[str]:
    """Gives nginx's way out: pause, then finish what is served. Its end ends the container, and the sleep with it."""
    return ["sh", "-c", f"sleep {props.drain.pause}; nginx -s quit; sleep {props.drain.grace - props.drain.pause}"]


def php_pre_stop(props: ApiProps) -> list[str]:
    """Gives PHP-FPM's way out: it serves until nginx is gone, then finishes what it runs.

    The containers of a pod share its network, so nginx is gone when nothing listens on its port and no connection to
    it is open (states 0A, 01 and 08 of ``/proc/net/tcp``: https://docs.kernel.org/networking/proc_net_tcp.html).
    """
    busy = f"grep -qE '^ *[0-9]+: [0-9A-F]+:{props.port:04X} [0-9A-F:]+ (01|08|0A) ' /proc/net/tcp /proc/net/tcp6"
    rest = props.drain.grace - props.drain.pause
    return [
        "sh",
        "-c",
        f'sleep {props.drain.pause}; while {busy}; do sleep 0.2; done; kill -QUIT "$(cat {_FPM_PID})"; sleep {rest}',
    ]


def copy_command(props: ApiProps) -> list[str]:
    """Gives the command that copies the code, as the user who will run it."""
    return ["cp", "-R", f"{props.code_path}/.", f"{_SERVER_ROOT}/"]


def _nginx_config(props: ApiProps) -> str:
    return f"{props.name}-nginx-config"


def _php_config(props: ApiProps) -> str:
    return f"{props.name}-php-config"


def _pod(props: ApiProps) -> dict[str, Any]:
    code = Volume(name="api-code", mount_path=_SERVER_ROOT)
    code_to_serve = Volume(name=code.name, mount_path=_SERVER_ROOT, read_only=True)
    nginx_volumes = [
        code_to_serve,
        Volume.config(_nginx_config(props), "/etc/nginx/conf.d/default.conf", sub_path="default.conf"),
        Volume(name="nginx-cache", mount_path="/var/cache/nginx"),
        Volume(name="nginx-run", mount_path="/run"),
    ]
    php_volumes = [
        code,
        Volume.config(_php_config(props), f"{props.fpm_config_path}/{_FPM_FILE}", sub_path=_FPM_FILE),
        Volume(name="php-tmp", mount_path="/tmp"),  # noqa: S108 - a path in the container
        *props.options.volumes,
    ]
    resources = props.resources
    nginx = container(
        "nginx",
        props.nginx_image,
        props.nginx_user,
        resources=resources.nginx if resources else None,
        ports={"http": props.port},
        volumes=nginx_volumes,
        probes={"readinessProbe": props.readiness.manifest("http"), "livenessProbe": props.liveness.manifest("http")},
        pre_stop=nginx_pre_stop(props),
    )
    php_probe = props.php_probe.manifest("fastcgi")
    php = container(
        "php",
        props.image,
        props.php_user,
        resources=resources.php if resources else None,
        ports={"fastcgi": _FASTCGI_PORT},
        env=env_list(props.options.env),
        env_from=props.environment.manifest(),
        volumes=php_volumes,
        probes={"readinessProbe": php_probe, "livenessProbe": php_probe},
        pre_stop=php_pre_stop(props),
    )
    copy_code = container(
        "copy-api-code",
        props.image,
        props.php_user,
        resources=resources.copy_code if resources else None,
        command=copy_command(props),
        volumes=[code],
    )
    return pod_spec(
        [nginx, php],
        init_containers=[copy_code],
        volumes=[code, *nginx_volumes[1:], *php_volumes[1:]],
        options=props.options,
        grace=props.drain.grace,
        spread=props.name if props.replicas > 1 else None,
    )

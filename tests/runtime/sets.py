"""Sets of manifests with an API or a front end in them: what the tests run, and nothing else of the library."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from constructs_lib._k8s import App, Chart, Construct, manifests
from constructs_lib.api import Api, ApiProps
from constructs_lib.env_vars import EnvVars, EnvVarsProps
from constructs_lib.placement import Placement
from constructs_lib.pod import Drain, PodOptions
from constructs_lib.values import ImageRef, SecretKey
from constructs_lib.web_app import WebApp, WebAppProps
from tests.runtime.pods import Manifest

Template = Mapping[str, Any]
"""A pod template."""

PLACEMENT = Placement(namespace="site", part_of="site", instance="test")
NGINX, PHP, WEB = "registry.example/nginx:1", "registry.example/site-api:1", "registry.example/site-web:1"
# Not the default, so that the parameter counts.
CODE_PATH = "/srv/code"
# Long enough for a balancer to hear of an end, short enough for fifty of them.
DRAIN = Drain(pause=2, grace=15)

VARIABLES = {"GREETING": "Grüße, \"$HOME\" \\ 'x' `y`;", "EMPTY": "", "LINES": "one\ntwo"}
SECRETS = {"site-secrets": {"DB_PASSWORD": "p4ss $word"}, "other": {"token": "t0ken"}}

SECRET_TEXT = "must never be served"
STYLES = "body { color: rebeccapurple }\n"
FILES = {
    "public/assets/site.css": STYLES,
    "public/assets/picture.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "public/.well-known/security.txt": "Contact: mailto:security@example.com\n",
    # A second public folder.
    "web/index.php": "<?php require __DIR__ . '/../public/index.php';",
    "web/robots.txt": "User-agent: *\n",
    **dict.fromkeys(
        [
            "public/other.php",
            "public/other.php.bak",
            "public/other.php~",
            "public/old.phtml",
            "public/assets/nested.php",
            "public/.env",
            "public/.git/config",
            "public/assets/.hidden",
            "public/.well-known/.env",
            ".env",
        ],
        f"<?php echo '{SECRET_TEXT}';\n",
    ),
}


@dataclass(frozen=True)
class Set:
    """The objects of a chart."""

    objects: tuple[Manifest, ...]

    @classmethod
    def of(cls, build: Callable[[Construct], object]) -> Set:
        """Synthesizes what a function adds to a chart."""
        app = App()
        chart = Chart(app, "set", disable_resource_name_hashes=True)
        build(chart)
        return cls(tuple(manifest for _, manifest in manifests(chart)))

    def only(self, kind: str) -> Manifest:
        """The one object of a kind."""
        (found,) = (item for item in self.objects if item["kind"] == kind)
        return found

    def template(self, kind: str) -> Template:
        """The pod template of the one workload of a kind."""
        template: Template = self.only(kind)["spec"]["template"]
        return template


def api(**props: Any) -> Set:
    """An API with its variables; props that are not given are the library's defaults or the tests'."""

    def build(scope: Construct) -> None:
        variables = EnvVarsProps(placement=PLACEMENT, values=VARIABLES, secrets=["site-secrets"])
        defaults: dict[str, Any] = {
            "placement": PLACEMENT,
            "image": ImageRef.parse(PHP),
            "nginx_image": ImageRef.parse(NGINX),
            "environment": EnvVars(scope, "variables", variables).source,
            "code_path": CODE_PATH,
            "drain": DRAIN,
            "options": PodOptions(env={"TOKEN": SecretKey("other", "token"), "EMPTY": "not any more"}),
        }
        Api(scope, "api", ApiProps(**defaults | props))

    return Set.of(build)


def web(**props: Any) -> Set:
    """A front end, likewise."""
    defaults: dict[str, Any] = {"placement": PLACEMENT, "image": ImageRef.parse(WEB), "drain": DRAIN}
    return Set.of(lambda scope: WebApp(scope, "web", WebAppProps(**defaults | props)))


def without_pre_stop(template: Template) -> Template:
    """Gives a pod template whose containers are told to end at once."""
    changed = copy.deepcopy(dict(template))
    for part in changed["spec"]["containers"]:
        del part["lifecycle"]
    return changed


def with_pre_stop(template: Template, container: str, script: str) -> Template:
    """Gives a pod template one of whose containers has another preStop."""
    changed = copy.deepcopy(dict(template))
    (part,) = (part for part in changed["spec"]["containers"] if part["name"] == container)
    part["lifecycle"]["preStop"]["exec"]["command"] = ["sh", "-c", script]
    return changed

"""A bookshop: another framework's site, made of the library alone. `cdk8s synth` here writes dist/."""

from constructs_lib import (
    Api,
    ApiProps,
    App,
    Chart,
    EnvVars,
    EnvVarsProps,
    GatewayRef,
    Hostname,
    ImageRef,
    JavaScriptModule,
    Placement,
    RateLimit,
    Route,
    RouteProps,
    WebApp,
    WebAppProps,
)

WEB = ImageRef.parse(f"registry.example.com/bookshop-web@sha256:{'1' * 64}")
API = ImageRef.parse(f"registry.example.com/bookshop-api@sha256:{'2' * 64}")
NGINX = ImageRef.parse(f"docker.io/library/nginx:1.29-alpine@sha256:{'3' * 64}")

app = App()
chart = Chart(app, "bookshop", disable_resource_name_hashes=True)
shop = Placement(namespace="bookshop", part_of="bookshop", instance="production")
gateway = GatewayRef(name="public", namespace="gateways", hostnames=[Hostname("*.books.example.com")])

variables = EnvVars(
    chart, "variables", EnvVarsProps(placement=shop, values={"APP_ENV": "prod"}, secrets=["bookshop-secrets"])
)
config = JavaScriptModule(values={"apiUrl": "https://api.books.example.com"})
web = WebApp(chart, "web", WebAppProps(placement=shop, image=WEB, replicas=2, runtime_config=config))
# A Symfony application lies in /var/www, and its front controller in public/ as everywhere.
api = Api(
    chart,
    "api",
    ApiProps(placement=shop, image=API, nginx_image=NGINX, environment=variables.source, code_path="/var/www"),
)
for name, service in {"www": web.service, "api": api.service}.items():
    host = Hostname(f"{name}.books.example.com")
    limit = RateLimit(requests_per_second=20, burst=40)
    props = RouteProps(placement=shop, name=name, hostnames=[host], gateway=gateway, service=service, rate_limit=limit)
    Route(chart, f"{name}-route", props)

app.synth()

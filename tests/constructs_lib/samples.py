"""Small props that the tests of the constructs begin with. None of them is a default of the library."""

from __future__ import annotations

from constructs_lib import (
    DatabaseConnection,
    DatabaseName,
    DatabaseServer,
    EnvSource,
    GatewayRef,
    Hostname,
    ImageRef,
    ObjectRef,
    Placement,
    Resources,
    SecretKey,
    ServiceRef,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4

PLACEMENT = Placement(namespace="shop", part_of="shop.example", instance="staging")
BESIDE_THE_SERVER = Placement(namespace="data", part_of="shop.example", instance="staging")

WEB = ImageRef.parse(f"registry.example/shop/web@{DIGEST}")
API = ImageRef.parse(f"registry.example/shop/api@{DIGEST}")
NGINX = ImageRef.parse(f"docker.io/library/nginx:1@{DIGEST}")
POSTGRESQL = ImageRef.parse(f"docker.io/library/postgres:16@{DIGEST}")
RCLONE = ImageRef.parse(f"docker.io/rclone/rclone:1@{DIGEST}")

SMALL = Resources.parse("50m/64Mi", "100m/128Mi")
LARGE = Resources.parse("1/1Gi", "2/2Gi")

ENVIRONMENT = EnvSource(config_map="env-vars", checksum="c0ffee", secrets=["env-secrets"])
MIGRATED = ObjectRef(group="batch", kind="Job", namespace="shop", name="migration-1")

SERVER = DatabaseServer(
    name="db",
    namespace="data",
    admin_username=SecretKey("db-admin", "username"),
    admin_password=SecretKey("db-admin", "password"),
)
CONNECTION = DatabaseConnection(
    host="db.data.svc.cluster.local",
    port=5432,
    database=DatabaseName("shop"),
    role=DatabaseName("shop_role"),
    password=SecretKey("env-secrets", "DB_PASSWORD"),
)

GATEWAY = GatewayRef(name="edge", namespace="edge", hostnames=[Hostname("shop.example"), Hostname("*.shop.example")])
SERVICE = ServiceRef(name="web", port=8080, namespace="shop")

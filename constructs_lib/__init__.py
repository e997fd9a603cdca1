"""Typed cdk8s constructs for framework sites on Kubernetes: a front end, a PHP API, their database and their routes.

Names are loaded when they are used: `constructs_lib.checks` needs no Node.js, and importing it starts none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from constructs_lib._k8s import App as App
    from constructs_lib._k8s import Chart as Chart
    from constructs_lib._k8s import Construct as Construct
    from constructs_lib._k8s import Manifest as Manifest
    from constructs_lib._k8s import Phase as Phase
    from constructs_lib._k8s import manifests as manifests
    from constructs_lib.api import Api as Api
    from constructs_lib.api import ApiProps as ApiProps
    from constructs_lib.api import ApiResources as ApiResources
    from constructs_lib.backup import BackupJobs as BackupJobs
    from constructs_lib.backup import Bucket as Bucket
    from constructs_lib.backup import DatabaseBackup as DatabaseBackup
    from constructs_lib.backup import DatabaseBackupProps as DatabaseBackupProps
    from constructs_lib.backup import backup_jobs as backup_jobs
    from constructs_lib.database import Database as Database
    from constructs_lib.database import DatabaseConnection as DatabaseConnection
    from constructs_lib.database import DatabaseProps as DatabaseProps
    from constructs_lib.database import DatabaseServer as DatabaseServer
    from constructs_lib.database_job import DatabaseJob as DatabaseJob
    from constructs_lib.database_job import DatabaseJobProps as DatabaseJobProps
    from constructs_lib.database_job import drop_job as drop_job
    from constructs_lib.env_vars import EnvVars as EnvVars
    from constructs_lib.env_vars import EnvVarsProps as EnvVarsProps
    from constructs_lib.errors import InvalidPropsError as InvalidPropsError
    from constructs_lib.errors import InvalidValueError as InvalidValueError
    from constructs_lib.gateway import Acme as Acme
    from constructs_lib.gateway import Gateway as Gateway
    from constructs_lib.gateway import GatewayProps as GatewayProps
    from constructs_lib.gateway import SelfSigned as SelfSigned
    from constructs_lib.gateway_ref import GatewayRef as GatewayRef
    from constructs_lib.migration_job import MigrationJob as MigrationJob
    from constructs_lib.migration_job import MigrationJobProps as MigrationJobProps
    from constructs_lib.namespace import Destination as Destination
    from constructs_lib.namespace import Isolation as Isolation
    from constructs_lib.namespace import Namespace as Namespace
    from constructs_lib.namespace import NamespaceProps as NamespaceProps
    from constructs_lib.namespace import Quota as Quota
    from constructs_lib.order import ObjectRef as ObjectRef
    from constructs_lib.placement import Placement as Placement
    from constructs_lib.pod import Drain as Drain
    from constructs_lib.pod import EnvSource as EnvSource
    from constructs_lib.pod import HttpProbe as HttpProbe
    from constructs_lib.pod import PodOptions as PodOptions
    from constructs_lib.pod import TcpProbe as TcpProbe
    from constructs_lib.pod import User as User
    from constructs_lib.pod import Volume as Volume
    from constructs_lib.preflight import PreflightError as PreflightError
    from constructs_lib.preflight import add_preflight as add_preflight
    from constructs_lib.preflight import require_preflight as require_preflight
    from constructs_lib.preview_access import PreviewAccess as PreviewAccess
    from constructs_lib.preview_access_props import PreviewAccessProps as PreviewAccessProps
    from constructs_lib.route import RateLimit as RateLimit
    from constructs_lib.route import Route as Route
    from constructs_lib.route import RouteProps as RouteProps
    from constructs_lib.values import BodySize as BodySize
    from constructs_lib.values import CronSchedule as CronSchedule
    from constructs_lib.values import DatabaseName as DatabaseName
    from constructs_lib.values import Hostname as Hostname
    from constructs_lib.values import ImageRef as ImageRef
    from constructs_lib.values import Name as Name
    from constructs_lib.values import Quantity as Quantity
    from constructs_lib.values import Resources as Resources
    from constructs_lib.values import SecretKey as SecretKey
    from constructs_lib.web_app import JavaScriptModule as JavaScriptModule
    from constructs_lib.web_app import WebApp as WebApp
    from constructs_lib.web_app import WebAppProps as WebAppProps
    from constructs_lib.workload import ServiceRef as ServiceRef

_MODULES = {
    "_k8s": ("App", "Chart", "Construct", "Manifest", "Phase", "manifests"),
    "api": ("Api", "ApiProps", "ApiResources"),
    "backup": (
        "BackupJobs",
        "Bucket",
        "DatabaseBackup",
        "DatabaseBackupProps",
        "backup_jobs",
    ),
    "database": ("Database", "DatabaseConnection", "DatabaseProps", "DatabaseServer"),
    "database_job": ("DatabaseJob", "DatabaseJobProps", "drop_job"),
    "env_vars": ("EnvVars", "EnvVarsProps"),
    "errors": ("InvalidPropsError", "InvalidValueError"),
    "gateway": ("Acme", "Gateway", "GatewayProps", "SelfSigned"),
    "gateway_ref": ("GatewayRef",),
    "migration_job": ("MigrationJob", "MigrationJobProps"),
    "namespace": ("Destination", "Isolation", "Namespace", "NamespaceProps", "Quota"),
    "order": ("ObjectRef",),
    "placement": ("Placement",),
    "preflight": ("PreflightError", "add_preflight", "require_preflight"),
    "preview_access": ("PreviewAccess",),
    "preview_access_props": ("PreviewAccessProps",),
    "pod": ("Drain", "EnvSource", "HttpProbe", "PodOptions", "TcpProbe", "User", "Volume"),
    "route": ("RateLimit", "Route", "RouteProps"),
    "values": (
        "BodySize",
        "CronSchedule",
        "DatabaseName",
        "Hostname",
        "ImageRef",
        "Name",
        "Quantity",
        "Resources",
        "SecretKey",
    ),
    "web_app": ("JavaScriptModule", "WebApp", "WebAppProps"),
    "workload": ("ServiceRef",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    """Loads the module that a public name lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]

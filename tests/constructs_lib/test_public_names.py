"""The library's public names: an interface that other sites are written against."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import constructs_lib

ROOT = Path(constructs_lib.__file__).parent.parent
PUBLIC_NAMES = """
    Acme Api ApiProps ApiResources App BackupJobs BodySize Bucket Chart Construct CronSchedule Database DatabaseBackup
    DatabaseBackupProps DatabaseConnection DatabaseJob DatabaseJobProps DatabaseName DatabaseProps DatabaseServer
    Destination Drain EnvSource EnvVars EnvVarsProps Gateway GatewayProps GatewayRef Hostname HttpProbe ImageRef
    InvalidPropsError InvalidValueError Isolation JavaScriptModule Manifest MigrationJob MigrationJobProps Name
    Namespace NamespaceProps ObjectRef Phase Placement PodOptions PreflightError PreviewAccess PreviewAccessProps
    Quantity Quota RateLimit Resources Route RouteProps SecretKey SelfSigned ServiceRef TcpProbe User Volume WebApp
    WebAppProps add_preflight backup_jobs drop_job manifests require_preflight
""".split()


def test_the_public_names_are_these() -> None:
    assert constructs_lib.__all__ == PUBLIC_NAMES


def test_a_type_checker_sees_the_same_names() -> None:
    tree = ast.parse(Path(constructs_lib.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = [alias for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]

    assert sorted(alias.asname or "" for alias in imported) == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_is_what_it_is_called(name: str) -> None:
    assert getattr(constructs_lib, name).__name__ == name
    assert name in dir(constructs_lib)


def test_a_name_that_is_not_there_is_missed_like_any_other() -> None:
    with pytest.raises(AttributeError, match="module 'constructs_lib' has no attribute 'Nothing'"):
        constructs_lib.Nothing  # noqa: B018 # the look-up is the test


@pytest.mark.parametrize(
    "imports", ["constructs_lib", "constructs_lib.values", "constructs_lib.pod", "constructs_lib.errors"]
)
def test_values_are_had_without_starting_node(imports: str) -> None:
    program = f"import sys, {imports}; print(*sorted({{'jsii', 'cdk8s', 'constructs'}} & sys.modules.keys()))"

    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout.split() == []

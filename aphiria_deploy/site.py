"""Finds the site that the command works for, by the entry point in its ``pyproject.toml``."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

from aphiria_deploy.bundle import Site
from aphiria_deploy.errors import InputError

_TABLE = "[tool.aphiria-deploy]"
_KNOWN = frozenset({"site", "cluster"})
_CLUSTER = "cluster"


def load_site(folder: Path) -> Site:
    """Loads the site of a folder, or of the nearest one above it that has one.

    Raises:
        InputError: There is none, its settings are not valid, or it cannot be imported.
    """
    return _import(*_project(folder))


def project_folder(folder: Path) -> Path:
    """Gives the folder of the site's project: this one, or the nearest above it. Nothing of the site is imported.

    Raises:
        InputError: There is none, or its settings are not valid.
    """
    return _project(folder)[0].parent


def definition(folder: Path) -> Path:
    """Gives the file in which the site is defined, for what is found in no file of its own. Nothing of it is imported.

    Raises:
        InputError: There is no project, or its settings are not valid.
    """
    project, settings = _project(folder)
    module = str(settings.get("site", "")).partition(":")[0]
    beside = project.parent.joinpath(*module.split("."))
    candidates = (beside / "__init__.py", beside.with_name(f"{beside.name}.py"))
    return next((one for one in candidates if module and one.is_file()), project)


def cluster_folder(folder: Path) -> Path:
    """Gives the folder of the Pulumi program that makes the site's clusters: ``cluster``, or what the project names.

    Raises:
        InputError: There is no project, or no such folder.
    """
    project, settings = _project(folder)
    name = settings.get("cluster", _CLUSTER)
    where = f"{project}: {_TABLE}: cluster"
    if not isinstance(name, str) or not name:
        raise InputError(f'{where}: found {name!r}, expected the folder of a Pulumi program, such as "{_CLUSTER}"')
    found = project.parent / name
    if not (found / "Pulumi.yaml").is_file():
        raise InputError(f"{where}: found no Pulumi.yaml in {found}, expected the program that makes the clusters")
    return found


def _project(folder: Path) -> tuple[Path, dict[str, Any]]:
    for candidate in (folder, *folder.parents):
        project = candidate / "pyproject.toml"
        settings = _settings(project) if project.is_file() else None
        if settings is not None:
            return project, settings
    raise InputError(
        f"{folder}: found no pyproject.toml with {_TABLE} here or above; run the command in a site's folder, "
        f'or name the site there: site = "package:attribute"'
    )


def _settings(project: Path) -> dict[str, Any] | None:
    try:
        tools = tomllib.loads(project.read_text(encoding="utf-8")).get("tool")
    except (OSError, ValueError) as error:
        raise InputError(f"{project}: {error}; expected TOML with a table {_TABLE}") from error
    settings = tools.get("aphiria-deploy") if isinstance(tools, dict) else None
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise InputError(f"{project}: tool.aphiria-deploy: found {settings!r}, expected a table {_TABLE}")
    if unknown := sorted(settings.keys() - _KNOWN):
        raise InputError(f"{project}: {_TABLE}: found {unknown[0]!r}, expected one of {', '.join(sorted(_KNOWN))}")
    return settings


def _import(project: Path, settings: dict[str, Any]) -> Site:
    entry = settings.get("site")
    module, colon, attribute = entry.partition(":") if isinstance(entry, str) else ("", "", "")
    where = f"{project}: {_TABLE}: site"
    if not (module and colon and attribute.isidentifier()):
        raise InputError(f'{where}: found {entry!r}, expected "package:attribute", such as "apps:site"')
    sys.path.insert(0, str(project.parent))
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{where}: {error}; expected a module beside {project.name}, or one that is installed"
        ) from error
    if not hasattr(loaded, attribute):
        raise InputError(f"{where}: {module} has no {attribute!r}; expected the object that makes the site's bundles")
    return cast("Site", getattr(loaded, attribute))

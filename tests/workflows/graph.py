"""Which jobs of a workflow run, with which permissions and secrets, for an event and what its jobs give.

Reusable workflows are followed. Only what these workflows use of GitHub's expressions is understood; anything else
fails the test that meets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github/workflows"
LOCAL = "$/.github/workflows/"

Data = dict[str, Any]
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[A-Za-z_][\w.-]*|==|!=|&&|\|\||\(|\)|[0-9]+)")
_CONTEXTS = frozenset({"github", "inputs", "needs", "vars", "secrets", "steps", "jobs"})


@cache
def workflow(name: str) -> Data:
    """A workflow's file. YAML takes the key ``on`` for a truth value."""
    data = yaml.safe_load((WORKFLOWS / name).read_text())
    assert isinstance(data, dict)
    return {"on" if key is True else key: value for key, value in data.items()}


def names() -> list[str]:
    return sorted(path.name for path in WORKFLOWS.glob("*.yml"))


@dataclass(frozen=True)
class Running:
    """A job that runs.

    Attributes:
        path: ``preview/gate``: the caller's job and its own.
        permissions: What its token may do.
        environment: The environment that it waits for and has the secrets of; empty where it has none.
        steps: Its steps that run.
        inputs: What its workflow was given.
        file: Its workflow.
        concurrency: Its group; empty where it has none.
    """

    path: str
    permissions: Mapping[str, str]
    environment: str
    steps: tuple[Data, ...]
    inputs: Mapping[str, Any]
    file: str
    concurrency: str = ""

    @property
    def commands(self) -> list[str]:
        return [step["run"] for step in self.steps if "run" in step]

    @property
    def secrets(self) -> set[str]:
        return set(re.findall(r"secrets\.([A-Za-z_]+)", str(self.steps)))


def walk(
    name: str,
    context: Mapping[str, Any],
    outputs: Mapping[str, Mapping[str, str]],
    failed: frozenset[str] = frozenset(),
) -> list[Running]:
    """Gives the jobs that run.

    Args:
        name: The workflow's file.
        context: ``github`` and ``vars``.
        outputs: What jobs give, by their paths.
        failed: The paths of jobs that fail.
    """
    return list(_Walk(outputs, failed).jobs(name, "", None, {**context, "inputs": {}}))


@dataclass(frozen=True)
class _Walk:
    outputs: Mapping[str, Mapping[str, str]]
    failed: frozenset[str]

    def jobs(
        self, name: str, prefix: str, granted: Mapping[str, str] | None, context: Mapping[str, Any]
    ) -> Iterator[Running]:
        ended: dict[str, str] = {}
        needs: dict[str, Any] = {}
        for key, job in workflow(name)["jobs"].items():
            wanted = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            here = {**context, "needs": {one: needs.get(one, {}) for one in wanted}}
            condition = str(job.get("if", ""))
            assert not re.search(r"(always|failure|cancelled|success)\(", condition), "not understood here"
            if any(ended[one] != "success" for one in wanted) or (condition and not evaluate(condition, here)):
                ended[key] = "skipped"
                continue
            path = f"{prefix}{key}"
            permissions = job.get("permissions", granted)
            assert permissions is not None, f"{name}: {key}: no permissions: the token's defaults would be used"
            if granted is not None:
                _require_within(permissions, granted, f"{name}: {key}")
            if "uses" in job:
                yield from self._called(job, path, permissions, here)
            else:
                yield _running(name, job, path, permissions, here)
            broken = any(one == path or one.startswith(f"{path}/") for one in self.failed)
            ended[key] = "failure" if broken else "success"
            needs[key] = {"outputs": self._outputs_of(job, path), "result": ended[key]}

    def _called(
        self, job: Data, path: str, permissions: Mapping[str, str], context: Mapping[str, Any]
    ) -> Iterator[Running]:
        assert job["uses"].startswith(LOCAL)
        assert "secrets" not in job, "a called workflow gets no secret but its environment's"
        called = job["uses"].removeprefix(LOCAL)
        declared = workflow(called)["on"]["workflow_call"] or {}
        known = declared.get("inputs", {})
        given = {key: fill(value, context) for key, value in job.get("with", {}).items()}
        assert given.keys() <= known.keys(), f"{called}: unknown inputs {given.keys() - known.keys()}"
        missing = [key for key, value in known.items() if value.get("required") and key not in given]
        assert not missing, f"{called}: {missing}"
        inputs = {key: value.get("default", "") for key, value in known.items()} | given
        yield from self.jobs(called, f"{path}/", permissions, {**context, "inputs": inputs})

    def _outputs_of(self, job: Data, path: str) -> Mapping[str, str]:
        if "uses" in job:
            declared = workflow(job["uses"].removeprefix(LOCAL))["on"]["workflow_call"] or {}
            declares = declared.get("outputs", {})
        else:
            declares = job.get("outputs", {})
        given = self.outputs.get(path, {})
        assert given.keys() <= declares.keys(), f"{path}: gives {given.keys()}, declares {declares.keys()}"
        return {key: given.get(key, "") for key in declares}


def _running(name: str, job: Data, path: str, permissions: Mapping[str, str], context: Mapping[str, Any]) -> Running:
    environment = job.get("environment", "")
    if isinstance(environment, dict):
        assert environment["deployment"] is False, "the commands make the deployments"
        environment = environment["name"]
    here = {**context, "steps": {}}
    steps = tuple(step for step in job["steps"] if "if" not in step or evaluate(step["if"], here))
    group = fill(job.get("concurrency", {}).get("group", ""), context)
    return Running(path, permissions, fill(environment, context), steps, context["inputs"], name, group)


def _require_within(permissions: Mapping[str, str], granted: Mapping[str, str], where: str) -> None:
    order = ("none", "read", "write")
    for key, value in permissions.items():
        assert order.index(value) <= order.index(granted.get(key, "none")), f"{where}: {key}: {value} is not granted"


def fill(value: Any, context: Mapping[str, Any]) -> Any:
    """Fills in the expressions of a text."""
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{\{(.*?)\}\}", value, re.DOTALL)
    if whole:
        return evaluate(whole[1], context)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(evaluate(match[1], context)), value)


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """Evaluates an expression of comparisons, ``&&`` and ``||``."""
    parts, at = [], 0
    while at < len(expression.rstrip()):
        match = _TOKEN.match(expression, at)
        assert match, f"not understood: {expression[at:]!r}"
        parts.append(match[1])
        at = match.end()
    words = {"&&": "and", "||": "or", "==": "==", "!=": "!=", "(": "(", ")": ")"}
    python = " ".join(words.get(part) or _literal(part, context) for part in parts)
    return eval(python, {"__builtins__": {}})


def _literal(part: str, context: Mapping[str, Any]) -> str:
    if part.startswith("'"):
        return repr(part[1:-1].replace("''", "'"))
    if part.isdigit():
        return part
    assert part.partition(".")[0] in _CONTEXTS, f"not understood: {part}"
    value: Any = context
    for key in part.split("."):
        value = value.get(key, "") if isinstance(value, Mapping) else ""
    return repr(value)

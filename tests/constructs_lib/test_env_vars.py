"""Environment variables that several pods share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import EnvVars, EnvVarsProps, InvalidValueError
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import PLACEMENT

PROPS = EnvVarsProps(placement=PLACEMENT, values={"B": "2", "A": "1"}, secrets=["env-secrets"])


def test_the_defaults_are_these() -> None:
    assert required(EnvVarsProps) == {"placement", "values"}
    assert defaults(EnvVarsProps) == {"name": "env-vars", "secrets": (), "app": "api", "annotations": {}}


def test_variables_are_a_config_map_and_no_secret(render: Render) -> None:
    (made,) = render(EnvVars, PROPS)

    assert made == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "env-vars",
            "namespace": "shop",
            "labels": PLACEMENT.object_labels("api", "configuration"),
        },
        "data": {"B": "2", "A": "1"},
    }


def test_pods_take_them_with_the_secrets_beside_them(chart: Any) -> None:
    source = EnvVars(chart, "it", PROPS).source

    assert (source.config_map, source.secrets) == ("env-vars", ["env-secrets"])


def test_the_checksum_is_of_the_values_alone(chart: Any) -> None:
    def checksum(construct_id: str, values: dict[str, str]) -> str:
        return EnvVars(chart, construct_id, replace(PROPS, values=values)).source.checksum

    assert checksum("a", {"A": "1", "B": "2"}) == checksum("b", {"B": "2", "A": "1"})
    assert checksum("c", {"A": "1"}) != checksum("d", {"A": "2"})


def test_a_name_that_no_shell_could_read_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="environment variable: found 'A-B', expected letters, digits and '_'"):
        EnvVarsProps(placement=PLACEMENT, values={"A-B": "1"})


def test_the_config_map_has_the_annotations_that_it_is_given(render: Render) -> None:
    (made,) = render(EnvVars, replace(PROPS, annotations={"example.com/why": "because"}))

    assert made["metadata"]["annotations"] == {"example.com/why": "because"}

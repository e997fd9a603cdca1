"""Constructs as the plain manifests that they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from constructs_lib import App, Chart, manifests
from tests.objects import Object

Render = Callable[..., list[Object]]


@pytest.fixture
def chart() -> Chart:
    """A chart of its own."""
    return Chart(App(), "test", disable_resource_name_hashes=True)


@pytest.fixture
def render(chart: Chart) -> Render:
    """Makes a construct of its props, and gives the objects that it is rendered as."""

    def rendered(construct: Callable[..., Any], props: object) -> list[Object]:
        construct(chart, "it", props)
        return [manifest for _, manifest in manifests(chart)]

    return rendered

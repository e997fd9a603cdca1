from __future__ import annotations

from collections.abc import Iterator

import pytest

from aphiria_deploy import http
from aphiria_deploy.github.client import GitHub
from tests.aphiria_deploy.github.stand_in import StandIn


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn().serving() as one:
        yield one


@pytest.fixture
def github(stand_in: StandIn) -> Iterator[GitHub]:
    with stand_in.client() as one:
        yield one


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again after hundredths of a second."""
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.01)

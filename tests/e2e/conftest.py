from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.control_plane import ASSETS, ControlPlane, missing_binaries


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    if missing := missing_binaries():
        pytest.skip(f"no API server to test against: {', '.join(missing)} not in {ASSETS} (KUBEBUILDER_ASSETS)")
    folder: Path = tmp_path_factory.mktemp("control-plane")
    with ControlPlane(folder) as running:
        yield running

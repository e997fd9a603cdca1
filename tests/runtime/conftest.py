"""What the runtime tests share: the images, and pods that are gone when a test is over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.runtime import images, needs, sets
from tests.runtime.pods import Image, Pod


class Pods:
    """Starts pods of sets."""

    def __init__(self, images_by_name: Mapping[str, Image], folder: Path, stack: ExitStack) -> None:
        self._images = images_by_name
        self._folders = (folder / f"pod-{number}" for number in itertools.count())
        self._stack = stack

    def start(self, of: sets.Set, template: sets.Template | None = None, *, network: Sequence[str] = ()) -> Pod:
        """Starts a pod of a set's Deployment, or of a template that was made from its."""
        pod = Pod(
            template or of.template("Deployment"),
            images=self._images,
            objects=of.objects,
            folder=next(self._folders),
            secrets=sets.SECRETS,
            network=network,
        )
        return self._stack.enter_context(pod)

    def ready(self, of: sets.Set, template: sets.Template | None = None) -> Pod:
        """Starts a pod and waits until it is ready."""
        return self.start(of, template).wait_until_ready()


@pytest.fixture(scope="session")
def api_images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    needs.namespaces()
    folder = tmp_path_factory.mktemp("images")
    return {
        sets.NGINX: images.nginx(folder / "nginx"),
        sets.PHP: images.php(folder / "php", Path(__file__).with_name("code"), sets.CODE_PATH, sets.FILES),
    }


@pytest.fixture(scope="module")
def api_pods(api_images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with ExitStack() as stack:
        yield Pods(api_images, tmp_path_factory.mktemp("api"), stack)


@pytest.fixture(scope="session")
def web_pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Mapping[str, str | bytes]], Pods]]:
    """Gives a function that makes pods of a front end from the files of its image."""
    needs.namespaces()
    with ExitStack() as stack:

        def pods(files: Mapping[str, str | bytes]) -> Pods:
            folder = tmp_path_factory.mktemp("web")
            return Pods({sets.WEB: images.nginx(folder / "nginx", files)}, folder, stack)

        yield pods

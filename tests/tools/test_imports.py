import re
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from tests.tools.crd import Json, crd_document
from tools import imports
from tools.crds import CrdError
from tools.imports import Release, load_releases, read_release, reduced_crds, replace_folder, replace_stubs
from tools.node import CHECKOUT
from tools.reduction import Use, load_table

SPEC: Json = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
WIDGETS = Release("widgets", "1.2.3", "https://example.test/o/widgets/releases/download/v1.2.3/crds.yaml")


@pytest.fixture
def crds(tmp_path: Path) -> Path:
    folder = tmp_path / "crds"
    folder.mkdir()
    (folder / "widgets-1.2.3.yaml").write_text(yaml.safe_dump(crd_document(SPEC)))
    return folder


def test_the_projects_releases_are_told_by_their_addresses() -> None:
    releases = {release.project: release.version for release in load_releases(CHECKOUT / "cdk8s.yaml")}

    assert releases == {"gateway-api": "1.6.1", "cert-manager": "1.21.1", "nginx-gateway-fabric": "2.6.7"}


def test_the_table_uses_releases_that_are_there() -> None:
    releases = {release.project for release in load_releases(CHECKOUT / "cdk8s.yaml")}

    assert {use.project for use in load_table(CHECKOUT / "tools" / "crds.yaml")} == releases


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app: x", "cdk8s.yaml: found KeyError('imports'); expected a list `imports` of addresses."),
        ("- x", "expected a list `imports` of addresses."),
        ("imports: [k8s]", "imports[0]: found 'k8s'; expected an address like https://github.com/OWNER/"),
        ("imports: ['http://h/o/p/v1.2.3/x.yaml']", "imports[0]: found 'http://h/o/p/v1.2.3/x.yaml'"),
        ("imports: ['https://h/o/p/main/x.yaml']", "imports[0]: found 'https://h/o/p/main/x.yaml'"),
    ],
)
def test_a_configuration_without_releases_is_refused(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "cdk8s.yaml"
    config.write_text(text)

    with pytest.raises(CrdError, match=re.escape(message)):
        load_releases(config)


def test_a_release_is_read_from_a_folder(crds: Path) -> None:
    assert [crd.kind for crd in read_release(WIDGETS, crds)] == ["Widget"]


def test_a_folder_with_another_version_is_refused(crds: Path) -> None:
    newer = Release("widgets", "1.3.0", WIDGETS.address)

    with pytest.raises(CrdError) as caught:
        read_release(newer, crds)

    assert str(caught.value) == (
        f"{crds}: found widgets-1.2.3.yaml; expected widgets-1.3.0.yaml, the version in cdk8s.yaml."
    )


def test_a_release_is_downloaded_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(address: str, timeout: float) -> BytesIO:
        asked.append((address, timeout > 0))
        return BytesIO(yaml.safe_dump(crd_document(SPEC)).encode())

    monkeypatch.setattr("urllib.request.urlopen", answer)

    assert [crd.kind for crd in read_release(WIDGETS, None)] == ["Widget"]
    assert asked == [(WIDGETS.address, True)]


def test_a_failed_download_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(address: str, timeout: float) -> BytesIO:
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", answer)

    with pytest.raises(CrdError) as caught:
        read_release(WIDGETS, None)

    assert str(caught.value) == (
        f"{WIDGETS.address}: found Name or service not known; expected the CRDs of widgets 1.2.3. Where "
        "there is no network, `make imports CRDS=FOLDER` takes them from files."
    )


def test_crds_are_reduced_by_api_group(crds: Path) -> None:
    use = Use("widgets.example.test", "widgets", "v1", ("spec.a",))

    groups = reduced_crds([WIDGETS], [use], crds)

    (crd,) = groups["example.test"]
    assert list(crd.schema("v1")["properties"]["spec"]["properties"]) == ["a"]


def test_a_project_that_is_not_configured_is_refused(crds: Path) -> None:
    with pytest.raises(CrdError) as caught:
        reduced_crds([WIDGETS], [Use("gears.example.test", "gears", "v1", ("spec",))], crds)

    assert str(caught.value) == ("gears.example.test: project: found gears; expected one of cdk8s.yaml: widgets.")


def test_a_crd_that_the_release_lacks_is_refused(crds: Path) -> None:
    with pytest.raises(CrdError, match=r"^widgets 1\.2\.3: found widgets\.\S+; expected one CRD gears"):
        reduced_crds([WIDGETS], [Use("gears.example.test", "widgets", "v1", ("spec",))], crds)


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    for name in ("work/new", "old"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / name[-3:]).touch()

    replace_folder(tmp_path / "work" / "new", tmp_path / "old")

    assert [file.name for file in (tmp_path / "old").iterdir()] == ["new"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()

    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "absent", tmp_path / "old")

    assert [file.name for file in (tmp_path / "old").iterdir()] == ["file"]


def test_stubs_replace_stubs_alone(tmp_path: Path) -> None:
    for folder in ("new/io", "target/org", "target/__pycache__"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "target" / "__init__.py").touch()

    replace_stubs(tmp_path / "new", tmp_path / "target")

    assert sorted(file.name for file in (tmp_path / "target").iterdir()) == [
        "__init__.py",
        "__pycache__",
        "io",
    ]


def test_a_failed_generation_leaves_imports_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bindings = tmp_path / "imports"
    bindings.mkdir()
    (bindings / "file").touch()
    monkeypatch.setattr(imports, "_IMPORTS", bindings)
    monkeypatch.setattr(imports, "_STUBS", tmp_path / "stubs")
    monkeypatch.setattr(imports, "CACHE", tmp_path / ".cache")

    assert imports.main(["--crds", str(tmp_path)]) == 1

    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: found no .yaml files; expected gateway-api-")
    assert [file.name for file in bindings.iterdir()] == ["file"]
    assert list((tmp_path / ".cache").iterdir()) == []

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

PROGRAM = """
from constructs_lib._imports.io.k8s.networking.gateway import HttpRoute
from constructs_lib._imports.io.cert_manager import Certificate, ClusterIssuer
from constructs_lib._imports.org.nginx.gateway import ClientSettingsPolicy, NginxProxy, RateLimitPolicy
import sys
print(sys.modules[HttpRoute.__module__].__file__)
"""


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    pip("wheel", *offline, "--wheel-dir", str(folder), str(CHECKOUT))
    (file,) = folder.glob("*.whl")
    return file


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_the_library_and_the_engine_and_no_generic_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {
        "constructs_lib",
        "aphiria_deploy",
        "aphiria_deploy-0.1.0.dist-info",
    }


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_the_bindings_that_are_in_the_checkout(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name.removeprefix("constructs_lib/_imports/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("constructs_lib/_imports/") and name != "constructs_lib/_imports/__init__.py"
        }

    imports = CHECKOUT / "imports"
    assert found == {
        file.relative_to(imports).as_posix(): file.read_bytes()
        for file in imports.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.mark.xdist_group("wheel")
def test_the_bindings_work_from_an_installed_wheel_beside_somebody_elses_imports(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # The dependencies are those of this environment; the editable install in it is not followed from here.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    for folder in (site_packages, tmp_path):
        (folder / "imports" / "io").mkdir(parents=True)
        (folder / "imports" / "io" / "__init__.py").write_text("raise SystemExit('somebody else')")

    run = subprocess.run(
        [python, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": ""}
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert Path(run.stdout.strip()).is_relative_to(site_packages / "constructs_lib" / "_imports")

"""The command finds its site by the entry point in its pyproject.toml, or says why it cannot."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aphiria_deploy.errors import InputError
from aphiria_deploy.site import definition, load_site

MODULES = ("shop_site", "broken_site", "needy_site")


@pytest.fixture(autouse=True)
def _forget_what_was_imported() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in MODULES:
        sys.modules.pop(name, None)


def project(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return file


def entry(value: str) -> str:
    return f"[tool.aphiria-deploy]\nsite = {value}\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a site."""
    project(tmp_path, entry('"shop_site:site"'))
    (tmp_path / "shop_site.py").write_text("site = object()\n", encoding="utf-8")
    return tmp_path


def test_the_site_of_a_folder_is_what_its_entry_point_names(shop: Path) -> None:
    found = load_site(shop)

    assert found is sys.modules["shop_site"].site


def test_a_folder_below_a_sites_is_the_sites_too(shop: Path) -> None:
    # Projects of other tools lie between; only one with the table is a site's.
    project(shop / "docs", "[tool.other]\nx = 1\n")
    project(shop / "docs" / "more", "[project]\nname = 'x'\n")

    assert load_site(shop / "docs" / "more") is sys.modules["shop_site"].site


def test_the_nearest_site_is_taken(shop: Path) -> None:
    project(shop / "inner", entry('"nowhere:site"'))

    with pytest.raises(InputError, match="No module named 'nowhere'"):
        load_site(shop / "inner")


def test_the_site_of_this_checkout_is_aphirias() -> None:
    assert load_site(Path(__file__).parent).name == "aphiria.com"


def test_where_a_site_is_defined_is_told_without_importing_it(shop: Path) -> None:
    assert definition(shop) == shop / "shop_site.py"
    (shop / "deep").mkdir()
    assert definition(shop / "deep") == shop / "shop_site.py"
    assert "shop_site" not in sys.modules

    package = shop / "shops" / "first" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.touch()
    project(shop, entry('"shops.first:site"'))
    assert definition(shop) == package
    # One that is installed is in no file of the checkout.
    project(shop, entry('"elsewhere:site"'))
    assert definition(shop) == shop / "pyproject.toml"


def test_without_a_site_it_is_said_where_it_was_looked_for(tmp_path: Path) -> None:
    project(tmp_path, "[project]\nname = 'x'\n")

    with pytest.raises(InputError) as error:
        load_site(tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: found no pyproject.toml with [tool.aphiria-deploy] here or above; run the command in a site's "
        'folder, or name the site there: site = "package:attribute"'
    )
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool", "expected TOML with a table [tool.aphiria-deploy]"),
        ("\x00", "expected TOML with a table [tool.aphiria-deploy]"),
        ("[tool]\naphiria-deploy = 'apps:site'\n", "tool.aphiria-deploy: found 'apps:site', expected a table [tool."),
        ("[tool]\naphiria-deploy = []\n", "tool.aphiria-deploy: found [], expected a table [tool.aphiria-deploy]"),
        (
            "[tool.aphiria-deploy]\nsite = 'a:b'\nsiet = 'a:b'\n",
            "[tool.aphiria-deploy]: found 'siet', expected one of cluster, site",
        ),
        ("[tool.aphiria-deploy]\n", 'site: found None, expected "package:attribute", such as "apps:site"'),
        (entry("5"), 'site: found 5, expected "package:attribute", such as "apps:site"'),
        (entry('""'), "site: found '', expected \"package:attribute\""),
        (entry('"shop_site"'), "site: found 'shop_site', expected \"package:attribute\""),
        (entry('":site"'), "site: found ':site', expected \"package:attribute\""),
        (entry('"shop_site:"'), "site: found 'shop_site:', expected \"package:attribute\""),
        (entry('"shop_site:a.b"'), "site: found 'shop_site:a.b', expected \"package:attribute\""),
        (
            entry('"nowhere:site"'),
            "site: No module named 'nowhere'; expected a module beside pyproject.toml, or one that is installed",
        ),
        (
            entry('"shop_site:other"'),
            "site: shop_site has no 'other'; expected the object that makes the site's bundles",
        ),
        (entry('"needy_site:site"'), "site: No module named 'nothing_installed'; expected a module beside"),
    ],
)
def test_settings_that_lead_nowhere_are_refused_with_their_path(shop: Path, text: str, message: str) -> None:
    (shop / "needy_site.py").write_text("import nothing_installed\n", encoding="utf-8")
    file = project(shop, text)

    with pytest.raises(InputError, match=re.escape(str(file)) + ".*" + re.escape(message)):
        load_site(shop)


@pytest.mark.parametrize("text", ["tool = 5\n", "[project]\ntool = 5\n", "tool = []\n"])
def test_what_is_no_table_of_tools_has_no_site(tmp_path: Path, text: str) -> None:
    project(tmp_path, text)

    with pytest.raises(InputError, match=r"found no pyproject\.toml with \[tool\.aphiria-deploy\] here or above"):
        load_site(tmp_path)


def test_a_mistake_in_the_sites_own_code_is_not_hidden(shop: Path) -> None:
    (shop / "broken_site.py").write_text("1 / 0\n", encoding="utf-8")
    project(shop, entry('"broken_site:site"'))

    with pytest.raises(ZeroDivisionError):
        load_site(shop)

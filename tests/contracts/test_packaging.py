"""What pip, uv and pytest are told about this tree agrees with itself."""

import importlib.metadata
import tomllib

from tests.contracts.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_uv_and_pip_install_the_same_development_tools() -> None:
    extra = PROJECT["project"]["optional-dependencies"]["dev"]
    assert PROJECT["dependency-groups"]["dev"] == extra


def test_the_version_is_the_installed_one() -> None:
    """A stale install would run the tests of this tree against the entry points of another."""
    assert importlib.metadata.version("shadow-task") == PROJECT["project"]["version"]


def test_every_command_and_plugin_can_be_loaded() -> None:
    entry_points = importlib.metadata.distribution("shadow-task").entry_points
    names = {(entry.group, entry.name) for entry in entry_points if callable(entry.load()) or entry.module}
    assert names == {
        ("console_scripts", "shadows"),
        ("console_scripts", "shadowsd"),
        ("pytest11", "shadows"),
    }


def test_everything_that_ships_is_typed() -> None:
    for folder in ("client/shadows", "shadowsd"):
        assert (ROOT / folder / "py.typed").exists()

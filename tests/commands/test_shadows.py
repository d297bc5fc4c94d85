"""The command line as a whole."""

import pytest

import shadows
from tests.commands.commands import output_of, run


def test_version_is_the_packages() -> None:
    assert output_of("version") == f"{shadows.__version__}\n"
    assert shadows.__version__ in output_of("--version")


def test_every_command_is_listed() -> None:
    text = output_of("--help")
    for name in (
        "worker",
        "snapshot",
        "watch",
        "clear",
        "tasks",
        "workers",
        "strike",
        "restore",
        "cancel",
        "quarantine",
    ):
        assert f"\n  {name} " in text


def test_an_unknown_command_is_wrong_usage_and_the_nearest_one_is_offered() -> None:
    result = run("snapshoot")
    assert result.exit_code == 2
    assert "snapshot" in result.stderr


def test_a_variable_called_version_is_not_taken_for_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployments like to export SHADOWS_VERSION, which must not turn every command into `--version`."""
    monkeypatch.setenv("SHADOWS_VERSION", "1")
    assert "Commands:" in output_of("--help")
    assert "scheduled" in output_of("snapshot")

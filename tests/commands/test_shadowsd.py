"""The command line of the daemon: what it is called with, and what it says when nobody answers."""

from pathlib import Path

from click.testing import CliRunner

from shadowsd.commands.shadowsd import main


def test_the_command_knows_its_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, "shadowsd, version 0.2.0\n")


def test_options_without_a_command_are_those_of_run() -> None:
    """`shadowsd --workers 8` is what people type."""
    result = CliRunner().invoke(main, ["--workers", "3", "--shadows", "orders", "--check-config"])
    told = "These settings can be used: 3 workers of 'orders', which know fail, sleep, trace.\n"
    assert (result.exit_code, result.output) == (0, told)


def test_where_no_master_answers_it_says_so_and_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--control", str(tmp_path / "none.sock")])
    assert result.exit_code == 1
    assert "No master answers at" in result.output
    assert "shadowsd --tasks" in result.output

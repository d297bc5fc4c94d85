"""Until the daemon is released, its command says so in one sentence."""

import pytest
from click.testing import CliRunner

from shadowsd.commands.shadowsd import main


@pytest.mark.parametrize("arguments", [[], ["run", "--workers", "4"], ["status"]])
def test_the_command_says_when_it_comes_and_what_to_use(arguments: list[str]) -> None:
    """Somebody who read about it types it; a traceback or silence would look like a broken install."""
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "shadowsd: the daemon arrives in the next release; use `shadows worker` to run tasks."
    ]


def test_the_command_knows_its_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, "shadowsd, version 0.2.0\n")

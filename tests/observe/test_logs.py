"""The three formats of a log, as they arrive on standard error."""

import json
import logging
import sys
from pathlib import Path

import pytest

from shadowsd.observe.logs import Raising, default_format
from tests.processes import run_script, write_script

SCRIPT = """
import logging
import sys
import warnings

from shadowsd.observe.logs import configure_logging

logging.basicConfig(format="a module's own: %(message)s")
configure_logging(*sys.argv[1:])
logging.getLogger("shadows.worker").info("began [red]%s", "here")
logging.getLogger("shadows.worker").debug("details")
"""


def lines_of(directory: Path, level: str, style: str) -> list[str]:
    script = write_script(directory, "logs", SCRIPT)
    return run_script(script, level, style, environment={"COLUMNS": "100"}).splitlines()


def test_plain_lines_have_time_level_and_logger(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, "info", "plain")
    assert line.endswith(" INFO    shadows.worker: began [red]here")


def test_rich_ones_leave_the_words_as_they_are(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, "info", "rich")
    assert line.rstrip().endswith("INFO     began [red]here")


def test_json_ones_can_be_parsed_one_by_one(tmp_path: Path) -> None:
    began, details = map(json.loads, lines_of(tmp_path, "debug", "json"))
    assert (began["level"], began["logger"], began["message"]) == ("INFO", "shadows.worker", "began [red]here")
    assert details["level"] == "DEBUG"


def test_rich_leaves_a_line_that_it_can_not_print_to_who_asked_for_it() -> None:
    """Its own way would write the complaint to standard error directly, and could block there."""
    try:
        raise ValueError("no such colour")
    except ValueError:
        with pytest.raises(ValueError, match="no such colour"):
            Raising().handleError(logging.makeLogRecord({}))


@pytest.mark.parametrize(("terminal", "style"), [(True, "rich"), (False, "plain")])
def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch, terminal: bool, style: str) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert default_format() == style


def test_without_a_standard_error_lines_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """They go nowhere then, but the daemon begins all the same."""
    monkeypatch.setattr(sys, "stderr", None)
    assert default_format() == "plain"

"""Tables for people, lines for programs."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from shadowsd.commands.tables import away, show, show_json

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW, "now"),
        (NOW + timedelta(seconds=90), "in 1m30s"),
        (NOW - timedelta(hours=2), "2h ago"),
        (None, None),
    ],
)
def test_a_moment_is_told_by_its_distance(moment: datetime | None, text: str | None) -> None:
    assert away(moment, NOW) == text


def test_a_terminal_gets_a_table_in_which_brackets_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show("Executions", ("Key", "Worker"), [("[red]k", None)])
    printed = capsys.readouterr().out
    assert "Executions" in printed
    assert "[red]k" in printed


def test_json_writes_moments_and_bytes_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"at": NOW, "bytes": b"\xff", "key": "\ud800"})
    assert json.loads(capsys.readouterr().out) == {"at": "2031-05-01T12:00:00Z", "bytes": "/w==", "key": "\ud800"}

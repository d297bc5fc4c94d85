"""What commands show: a table at a terminal, lines with tabs for other programs, or JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from msgspec import to_builtins
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shadows.durations import format_duration


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Shows rows under their columns."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (columns, *cells):
            click.echo("\t".join(line))
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        # As Text, so that a key such as "[red]" is shown and not obeyed.
        table.add_row(*map(Text, row))
    Console().print(table)


def show_json(value: Any) -> None:
    """One JSON document: moments as ISO 8601, bytes as base64."""
    click.echo(json.dumps(record(value), indent=2))


def record(row: Any) -> Any:
    """What the client returned in the words of JSON; its named tuples by name."""
    if isinstance(row, tuple) and hasattr(row, "_asdict"):
        return {name: record(value) for name, value in row._asdict().items()}
    if isinstance(row, list | tuple):
        return [record(value) for value in row]
    return to_builtins(row)


def printable(cell: object) -> str:
    """One cell on one line: users' keys may hold line ends and commands to the terminal."""
    if cell is None:
        return "-"
    text = str(cell)
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def away(moment: datetime | None, now: datetime) -> str | None:
    """How far a moment is from now, to the second."""
    if moment is None:
        return None
    seconds = round((moment - now).total_seconds())
    if not seconds:
        return "now"
    distance = format_duration(timedelta(seconds=abs(seconds)))
    return f"in {distance}" if seconds > 0 else f"{distance} ago"

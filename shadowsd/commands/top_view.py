"""What `shadowsd top` shows: two looks at a daemon, as lines and a table."""

from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from shadows.amounts import counted

from .depths import Depths
from .status import longest, short
from .tables import printable

COLUMNS = (
    "Slot", "PID", "State", "Gen", "Busy", "Tasks/s", "Done", "Memory", "Lag", "Restarts", "Up", "Longest running",
)  # fmt: skip
RIGHT = ("PID", "Gen", "Busy", "Tasks/s", "Done", "Memory", "Lag", "Restarts", "Up")
STATES = {"ready": "green", "draining": "yellow", "stopping": "yellow", "ending": "red"}

type Row = dict[str, Any]


class Sample(NamedTuple):
    """One answer of a daemon, and when it came."""

    answer: dict[str, Any]
    at: float


def head_of(before: Sample, latest: Sample, depths: Depths) -> list[str]:
    """The node in four lines at most."""
    answer = latest.answer
    state = "ready" if answer["ready"] else f"NOT READY: {'; '.join(answer['reasons'])}"
    rates = [rate for row in answer["slots"] if (rate := rate_of(row, before, latest)) is not None]
    busy = sum(row["busy"] for row in answer["slots"])
    room = sum(row["concurrency"] for row in answer["slots"] if not row["suspect"])
    which = f"pid {answer['pid']}, {answer['version']}"
    suspects = counted(answer["suspects"], "suspect")
    lines = [
        f"{answer['node']} serves {answer['shadow']!r} at {answer['url']} ({which}): {state}",
        f"{counted(answer['workers'], 'worker')}, {busy} of {room} busy, {sum(rates):.1f} tasks/s, {suspects}",
        depths.line,
        reload_of(answer),
    ]
    return [line for line in lines if line]


def reload_of(answer: dict[str, Any]) -> str:
    """The reload under way, or how the last one went."""
    if answer["reloading_to"]:
        return f"Reloading to generation {answer['reloading_to']}"
    if last := answer["last_reload"]:
        return f"The last reload {'went well' if last['ok'] else 'failed'}: {last['words']}"
    return ""


def rate_of(row: Row, before: Sample, latest: Sample) -> float | None:
    """Tasks that this very process did in a second; None when it is new, or has been seen once only."""
    old = next((each for each in before.answer["slots"] if each["pid"] == row["pid"]), None)
    passed = latest.at - before.at
    if old is None or passed <= 0:
        return None
    done: int = row["done"] - old["done"]
    return max(0.0, done / passed)


def rows_of(before: Sample, latest: Sample) -> list[tuple[object, ...]]:
    """One row for each worker."""
    return [cells(row, rate_of(row, before, latest)) for row in latest.answer["slots"]]


def cells(row: Row, rate: float | None) -> tuple[object, ...]:
    """In the order of COLUMNS."""
    silent = f" (silent {row['silent_seconds']:.0f} s: {row['silence']})" if row["silence"] else ""
    return (
        f"suspect {row['slot']}" if row["suspect"] else row["slot"], row["pid"], row["state"] + silent,
        row["generation"], f"{row['busy']}/{row['concurrency']}", None if rate is None else f"{rate:.1f}", row["done"],
        f"{row['memory'] / (1 << 20):.0f} MB", f"{row['lag_seconds'] * 1000:.0f} ms", row["restarts"],
        short(row["uptime_seconds"]), longest(row["longest"]),
    )  # fmt: skip


def screen(before: Sample, latest: Sample, depths: Depths, trouble: str) -> Group:
    """The whole screen of a terminal."""
    first, *rest = head_of(before, latest, depths)
    lines = [Text(printable(first), style="bold" if latest.answer["ready"] else "bold red")]
    lines += [Text(printable(line)) for line in rest]
    if trouble:
        lines.insert(0, Text(f"{printable(trouble)} What follows is old.", style="bold red"))
    table = Table(box=SIMPLE_HEAD)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in RIGHT else "left", no_wrap=column != COLUMNS[-1])
    for row in rows_of(before, latest):
        styles = {"State": style_of(str(row[COLUMNS.index("State")]))}
        table.add_row(*(Text(printable(cell), styles.get(name, "")) for name, cell in zip(COLUMNS, row, strict=True)))
    return Group(*lines, table, Text("q or Ctrl-C ends", style="dim"))


def style_of(state: str) -> str:
    """The colour of a state; one that is silent needs somebody."""
    return "red" if "silent" in state else STATES.get(state, "")

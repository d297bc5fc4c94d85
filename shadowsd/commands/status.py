"""`shadowsd status`: what a running daemon does, and how the workers of one slot ended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from shadows.amounts import counted
from shadows.durations import format_duration

from .calling import call, control_options
from .options import json_option
from .tables import printable, show, show_json

COLUMNS = ("Slot", "PID", "State", "Gen", "Busy", "Done", "Memory", "Up", "Longest running")

# Below this, whole seconds would hide what there is to see.
TENTHS_SECONDS = 10.0


@click.command()
@click.argument("slot", type=int, required=False)
@control_options
@json_option
def status(slot: int | None, control: Path | None, shadow: str | None, as_json: bool) -> None:
    """Show the workers of a running daemon; with a SLOT, what it runs and how its workers ended."""
    answer = call(control, shadow, {"command": "status", "slot": slot})
    if as_json:
        show_json(answer)
    elif slot is None:
        show_node(answer)
    else:
        show_slot(answer)


def show_node(node: dict[str, Any]) -> None:
    """The whole node: one line of state, then a row for each worker."""
    state = "ready" if node["ready"] else f"NOT READY: {'; '.join(node['reasons'])}"
    which = f"pid {node['pid']}, {node['version']}"
    click.echo(f"{node['node']} serves {node['shadow']!r} at {node['url']} ({which}): {state}")
    if node["reloading_to"]:
        click.echo(f"Reloading to generation {node['reloading_to']}.")
    elif node["last_reload"] and not node["last_reload"]["ok"]:
        click.echo(f"The last reload failed: {node['last_reload']['words']}")
    if node["suspects"]:
        wait = "waits" if node["suspects"] == 1 else "wait"
        click.echo(f"{counted(node['suspects'], 'suspect')} {wait} to run alone.")
    show("Workers", COLUMNS, [cells(row) for row in node["slots"]])


def cells(row: dict[str, Any]) -> tuple[object, ...]:
    """One worker of the table."""
    state = row["state"]
    if row["silence"]:
        state += f", silent for {row['silent_seconds']:.0f} s: {row['silence']}"
    return (
        f"suspect {row['slot']}" if row["suspect"] else row["slot"], row["pid"], state, row["generation"],
        f"{row['busy']} of {row['concurrency']}", row["done"], f"{row['memory'] / (1 << 20):.0f} MB",
        short(row["uptime_seconds"]), longest(row["longest"]),
    )  # fmt: skip


def longest(task: dict[str, Any] | None) -> str | None:
    """The task that has run longest."""
    return f"{task['function']} {task['key']} for {short(task['seconds'])}" if task else None


def short(seconds: float) -> str:
    """A duration to the second; a short one to the tenth."""
    return format_duration(timedelta(seconds=round(seconds, 1) if seconds < TENTHS_SECONDS else round(seconds)))


def show_slot(slot: dict[str, Any]) -> None:
    """One slot: who is in it, what they run, and how those before them ended."""
    for child in slot["children"]:
        show(f"Slot {slot['slot']}", COLUMNS, [cells(child)])
        running = [(task["function"], task["key"], short(task["seconds"])) for task in child["in_flight"]]
        if running:
            show("It runs", ("Task", "Key", "For"), running)
    for ending in slot["endings"]:
        at = datetime.fromtimestamp(ending["at"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        asked = f" (asked: {ending['asked']})" if ending["asked"] else ""
        click.echo(
            f"{at}: pid {ending['pid']} of generation {ending['generation']} {ending['cause']}{asked}, after "
            f"{short(ending['served_seconds'])} and {counted(ending['tasks'], 'task')}."
        )
        for task in ending["in_flight"]:
            click.echo(f"  in flight: {printable(task)}")
        if ending["stack"]:
            click.echo("\n".join(f"  {line}" for line in ending["stack"].splitlines()))

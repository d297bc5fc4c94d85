"""`shadows snapshot` and `shadows clear`: what a shadow holds, and emptying it."""

import click

from shadows import Shadow
from shadows.amounts import counted
from shadows.snapshot import Snapshot, TaskRow

from .options import json_option, on_shadow
from .tables import away, record, show, show_json
from .workers import show_workers


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many of each kind to list."
)
@json_option
@on_shadow
async def snapshot(shadow: Shadow, limit: int, as_json: bool) -> None:
    """Show what is scheduled, waiting and running, and who works."""
    seen = await shadow.snapshot(limit)
    if as_json:
        show_json({"shadows": shadow.name, "url": shadow.url, **record(seen)})
        return
    click.echo(summary(shadow, seen))
    if rows := [*seen.running, *seen.queued, *seen.scheduled]:
        columns = ("State", "Function", "Key", "Due", "Worker", "Started", "Deliveries")
        show("Executions", columns, [execution_cells(row, seen) for row in rows])
    if seen.workers:
        click.echo()
        show_workers(seen.workers, seen.taken)


def summary(shadow: Shadow, seen: Snapshot) -> str:
    """The counts, which are whole though the lists may be cut."""
    counts = [
        f"{seen.scheduled_count} scheduled",
        f"{seen.ready_count} waiting or running" + at_limits(seen),
        f"{seen.unknown_count} waiting for a worker that knows them",
        *([f"{seen.paused_count} paused"] if seen.paused_count else []),
        f"{seen.quarantined_count} quarantined",
        counted(len(seen.workers), "worker"),
    ]
    return f"{shadow.name} at {shadow.url}: {', '.join(counts)}."


def at_limits(seen: Snapshot) -> str:
    """How many of those that are ready wait at a limit over all workers."""
    return f" ({seen.waiting_at_limits} of them waiting at limits)" if seen.waiting_at_limits else ""


def execution_cells(row: TaskRow, seen: Snapshot) -> tuple[object, ...]:
    """One execution of the table."""
    started = away(row.started_at, seen.taken)
    return (row.state, row.function_name, row.key, away(row.when, seen.taken), row.worker, started, row.deliveries)


@click.command()
@on_shadow
async def clear(shadow: Shadow) -> None:
    """Remove everything that has not started. Running tasks and strikes stay."""
    removed = await shadow.clear()
    click.echo(f"Removed {counted(removed, 'execution')} from {shadow.name}.")

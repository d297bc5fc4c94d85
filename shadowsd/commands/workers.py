"""`shadows workers`: who works."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from shadows import Shadow
from shadows.snapshot import WorkerInfo

from .options import json_option, on_shadow
from .tables import away, show, show_json

COLUMNS = ("Worker", "Host", "PID", "Running", "Done", "Last seen", "Tasks")


@click.group()
def workers() -> None:
    """See who works."""


@workers.command("ls")
@json_option
@on_shadow
async def list_all(shadow: Shadow, as_json: bool) -> None:
    """List the workers that live."""
    tell(await shadow.workers(), as_json, f"No worker of {shadow.name} is alive. Start one: shadows worker --tasks ...")


@workers.command("for-task")
@click.argument("function")
@json_option
@on_shadow
async def list_for_task(shadow: Shadow, function: str, as_json: bool) -> None:
    """List the living workers that know FUNCTION."""
    found = await shadow.task_workers(function)
    tell(found, as_json, f"No living worker of {shadow.name} knows {function!r}. Start one with its --tasks.")


def tell(found: Sequence[WorkerInfo], as_json: bool, when_none: str) -> None:
    """Shows the workers, or says that there are none."""
    if as_json:
        show_json(found)
    elif found:
        show_workers(found, datetime.now(UTC))
    else:
        click.echo(when_none, err=True)


def show_workers(found: Sequence[WorkerInfo], now: datetime) -> None:
    """The table of workers."""
    show("Workers", COLUMNS, [cells(worker, now) for worker in found])


def cells(worker: WorkerInfo, now: datetime) -> tuple[object, ...]:
    """One worker of the table."""
    load = f"{worker.running} of {worker.concurrency}"
    seen = away(worker.last_seen, now)
    return (worker.name, worker.host, worker.pid, load, worker.done, seen, ", ".join(worker.tasks))

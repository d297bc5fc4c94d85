"""`shadows workers`: who works."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from shadows import Shadow
from shadows.priorities import PRIORITIES
from shadows.snapshot import WorkerInfo, read_masters

from .options import json_option, on_shadow
from .tables import away, show, show_json

COLUMNS = ("Worker", "Kind", "Node", "Slot", "Gen", "Host", "PID", "Running", "Done", "Last seen", "Tasks")
MASTER = "master"


@click.group()
def workers() -> None:
    """See who works."""


@workers.command("ls")
@json_option
@on_shadow
async def list_all(shadow: Shadow, as_json: bool) -> None:
    """List the workers that live, and the masters of `shadowsd` with theirs."""
    masters, _ = await read_masters(shadow.queries, shadow.keys)
    found = [*masters, *await shadow.workers()]
    tell(found, as_json, f"No worker of {shadow.name} is alive. Start one: shadows worker --tasks ...")


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
    """The table of workers: those of one node stand below their master."""
    show("Workers", COLUMNS, [cells(worker, now) for worker in sorted(found, key=place)])


def place(worker: WorkerInfo) -> tuple[str, bool, int, str]:
    """Where a worker stands in the table."""
    return (worker.node or worker.name, worker.kind != MASTER, worker.slot, worker.name)


def cells(worker: WorkerInfo, now: datetime) -> tuple[object, ...]:
    """One worker of the table; a master runs nothing itself."""
    runs = worker.kind != MASTER
    load = f"{worker.running} of {worker.concurrency}" if runs else None
    generation = None if worker.kind == "worker" else worker.generation
    kind = (
        worker.kind if len(worker.priorities) == len(PRIORITIES) else f"{worker.kind}: {', '.join(worker.priorities)}"
    )
    return (
        worker.name, kind, worker.node or None, worker.slot or None, generation, worker.host, worker.pid, load,
        worker.done if runs else None, away(worker.last_seen, now), ", ".join(worker.tasks) or None,
    )  # fmt: skip

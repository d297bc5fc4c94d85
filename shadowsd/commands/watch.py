"""`shadows watch`: follows one execution until it has ended."""

import functools
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import click
from click.exceptions import Exit

from shadows import Execution, ExecutionState, Shadow
from shadows.execution import Event, ProgressEvent, StateEvent
from shadows.states import FINISHED

from .options import json_option, on_shadow
from .tables import away, printable

# What a shell says of a program that a Ctrl-C ended.
INTERRUPTED = 130
# As wide as the longest state.
STATE_WIDTH = max(map(len, ExecutionState))


def quiet_when_interrupted[**P](command: Callable[P, None]) -> Callable[P, None]:
    """A Ctrl-C is how one leaves such a command, and nothing to speak of."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise Exit(INTERRUPTED) from None

    return run


@click.command()
@click.argument("key")
@json_option
@quiet_when_interrupted
@on_shadow
async def watch(shadow: Shadow, key: str, as_json: bool) -> None:
    """Follow the execution with KEY: a line for each change, until it has ended.

    Ends with exit code 0 when it is completed, and 1 when it ended otherwise, when nothing of it is kept, or when Redis
    is away for more than 5 s; a Ctrl-C ends it with 130. The next run of a perpetual task is another execution.
    """
    execution = await shadow.get_execution(key)
    if execution is None:
        raise click.ClickException(
            f"Nothing is kept of {key!r} in {shadow.name} at {shadow.url}: it was never added there, or it ended "
            "longer ago than the execution_ttl of its worker. `shadows snapshot` lists what is there; --shadows and "
            "--url name another place."
        )
    async for event in execution.subscribe():
        heard = datetime.now(UTC)
        if as_json:
            click.echo(json.dumps({"at": heard.isoformat(), **event, "attempt": execution.attempt}))
        elif is_news(event):
            show_event(execution, event, heard)
    if execution.state is not ExecutionState.COMPLETED:
        raise Exit(1)


def is_news(event: Event) -> bool:
    """Whether it tells a person something: the progress of a task that has said nothing does not."""
    return event["type"] == "state" or bool(event["current"] or event["total"] or event["message"])


def show_event(execution: Execution, event: Event, heard: datetime) -> None:
    """One line, in columns at a terminal, with tabs for other programs."""
    time = heard.astimezone().strftime("%H:%M:%S.%f")[:-3]
    if event["type"] == "progress":
        cells = [time, "progress", progress_words(event)]
    else:
        cells = [time, event["state"], event["worker"] or "-", f"attempt {execution.attempt}"]
        if note := note_on(event, execution, heard):
            cells.append(note)
    cells = [printable(cell) for cell in cells]
    if sys.stdout.isatty():
        cells[1] = cells[1].ljust(STATE_WIDTH)
    click.echo(("  " if sys.stdout.isatty() else "\t").join(cells))


def progress_words(event: ProgressEvent) -> str:
    """How far it is: `2/3 counting`."""
    total = "" if event["total"] is None else f"/{event['total']}"
    return f"{event['current']}{total} {event['message'] or ''}".rstrip()


def note_on(event: StateEvent, execution: Execution, now: datetime) -> str | None:
    """What else there is to say of a state: when it is due, why it ended so."""
    if event["state"] is ExecutionState.SCHEDULED:
        return f"due {away(execution.when, now)}"
    return event["error"] if event["state"] in FINISHED else None

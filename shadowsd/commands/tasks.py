"""`shadows tasks`: adds the built-in tasks, to see that workers run what is added."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from shadows import Disposition, Execution, Shadow
from shadows import tasks as builtin
from shadows.times import When

from .options import duration, on_shadow, when


@click.group()
def tasks() -> None:
    """Add a built-in task, to see that it runs."""


def when_and_key[F: Callable[..., Any]](function: F) -> F:
    """The two options that every add has."""
    due = click.option(
        "--when", type=when, help="A duration from now, or a moment as in 2031-05-01T12:00:00Z.  [default: now]"
    )
    key = click.option("--key", help="Adds nothing while an execution has this key.  [default: a fresh one]")
    return due(key(function))


@tasks.command()
@click.argument("message")
@when_and_key
@on_shadow
async def trace(shadow: Shadow, message: str, when: When, key: str | None) -> None:
    """Have a worker log MESSAGE."""
    tell(shadow, await shadow.add(builtin.trace, when, key)(message))


@tasks.command()
@click.argument("message")
@when_and_key
@on_shadow
async def fail(shadow: Shadow, message: str, when: When, key: str | None) -> None:
    """Have a task fail with MESSAGE."""
    tell(shadow, await shadow.add(builtin.fail, when, key)(message))


@tasks.command()
@click.argument("length", type=duration, metavar="DURATION")
@when_and_key
@on_shadow
async def sleep(shadow: Shadow, length: timedelta, when: When, key: str | None) -> None:
    """Keep one slot of a worker for DURATION, as in 10s or 5m."""
    tell(shadow, await shadow.add(builtin.sleep, when, key)(length.total_seconds()))


def tell(shadow: Shadow, execution: Execution) -> None:
    """What became of the add."""
    if execution.disposition is Disposition.ALREADY_SCHEDULED:
        click.echo(f"Added nothing to {shadow.name}: an execution has the key {execution.key!r} already.")
    elif execution.disposition is Disposition.STRUCK:
        click.echo(f"Added nothing to {shadow.name}: {execution.function_name} is struck. See `shadows restore`.")
    else:
        click.echo(f"Added {execution.function_name} with key {execution.key!r} to {shadow.name}.")

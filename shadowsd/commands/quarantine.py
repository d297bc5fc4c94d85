"""`shadows quarantine`: entries that can't run, each until somebody decides."""

from datetime import UTC, datetime

import click

from shadows import Shadow
from shadows.amounts import counted
from shadows.errors import PayloadError, RemoteError
from shadows.quarantine import Quarantine, QuarantinedEntry

from .options import json_option, on_shadow
from .tables import away, printable, record, show, show_json

MOST = 10_000


@click.group()
def quarantine() -> None:
    """See what was set aside because it could not run, or used up its retries, and decide."""


@quarantine.command("ls")
@click.option("--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="How many, newest first.")
@json_option
@on_shadow
async def list_all(shadow: Shadow, limit: int, as_json: bool) -> None:
    """List the entries, newest first."""
    found = await shadow.quarantine(limit)
    if as_json:
        show_json(found)
    elif found:
        now = datetime.now(UTC)
        rows = [(entry.id, away(entry.since, now), entry.function_name, entry.key, entry.cause) for entry in found]
        show("Quarantine", ("ID", "Since", "Function", "Key", "Cause"), rows)
    else:
        click.echo(f"The quarantine of {shadow.name} is empty.", err=True)


@quarantine.command("show")
@click.argument("id")
@json_option
@on_shadow
async def show_one(shadow: Shadow, id: str, as_json: bool) -> None:
    """Show one entry, with its arguments if they can be read."""
    entry = await Quarantine(shadow.queries, shadow.keys).entry(id)
    arguments = arguments_of(shadow, entry)
    if as_json:
        show_json({**record(entry), "arguments": arguments, "traceback": traceback_of(shadow, entry)})
        return
    lines = {
        "ID": entry.id,
        "Function": entry.function_name,
        "Key": entry.key,
        "Since": entry.since.isoformat(),
        "Arguments": arguments,
        "Payload": f"{counted(len(entry.payload), 'byte')}",
        "Cause": entry.cause,
    }
    if entry.attempts:
        lines["Attempts"] = str(entry.attempts)
    for name, value in lines.items():
        click.echo(f"{name + ':':11}{printable(value)}")
    for line in traceback_of(shadow, entry).splitlines():
        click.echo(printable(line))


@quarantine.command("retry")
@click.argument("id")
@on_shadow
async def retry(shadow: Shadow, id: str) -> None:
    """Give an entry back to the workers."""
    await shadow.quarantine_retry(id)
    click.echo(f"The entry {id} waits for a worker again.")


@quarantine.command("drop")
@click.argument("id")
@on_shadow
async def drop(shadow: Shadow, id: str) -> None:
    """Delete an entry for good."""
    await shadow.quarantine_drop(id)
    click.echo(f"The entry {id} is deleted.")


def traceback_of(shadow: Shadow, entry: QuarantinedEntry) -> str:
    """Where the last attempt failed; nothing for what never ran to an end."""
    if not entry.error:
        return ""
    try:
        error = shadow.codec.decode_error(entry.function_name, entry.key, entry.error)
    except PayloadError as problem:
        return f"unreadable: {problem}"
    remote = error if isinstance(error, RemoteError) else error.__cause__
    return remote.traceback if isinstance(remote, RemoteError) else repr(error)


def arguments_of(shadow: Shadow, entry: QuarantinedEntry) -> str:
    """The call as far as it can be read without the task's own annotations."""
    try:
        args, kwargs = shadow.codec.decode_call(None, entry.function_name, entry.key, entry.payload)
    except PayloadError as error:
        return f"unreadable: {error}"
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]) or "none"

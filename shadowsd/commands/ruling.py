"""Commands for a running master: reload, scale, stacks, stop."""

import contextlib
import os
import select
from pathlib import Path

import click

from shadows.amounts import counted

from .calling import call, control_options

# A stop drains for as long as the daemon allows; one that takes longer than this is worth a look.
STOP_SECONDS = 120.0


@click.command()
@click.option("--wait", is_flag=True, help="Return when the new code serves whole; fail with its traceback if not.")
@control_options
def reload(wait: bool, control: Path | None, shadow: str | None) -> None:
    """Load the code and the settings anew, without losing capacity.

    What is wrong with the new code shows before it serves: then the old code serves on.
    """
    answer = call(control, shadow, {"command": "reload", "wait": wait}, None if wait else 5.0)
    if not answer["ok"]:
        if answer.get("traceback"):
            click.echo(answer["traceback"].rstrip(), err=True)
        raise click.ClickException(f"The reload failed, and the old code serves on: {answer['words']}")
    click.echo(f"Reloaded: {answer['words']}." if wait else "The reload begins; --wait tells how it ends.")


@click.command()
@click.argument("workers", type=int)
@control_options
def scale(workers: int, control: Path | None, shadow: str | None) -> None:
    """Run so many WORKERS from now on, also after a reload."""
    answer = call(control, shadow, {"command": "scale", "workers": workers})
    wanted = answer["workers"]
    limited = "" if wanted == workers else f": {workers} is out of bounds"
    click.echo(f"{counted(wanted, 'worker')} from now on{limited}.")


@click.command()
@click.argument("slot", type=int, required=False)
@control_options
def stacks(slot: int | None, control: Path | None, shadow: str | None) -> None:
    """Show what every thread of every worker does now, or of that in SLOT."""
    answer = call(control, shadow, {"command": "stacks", "slot": slot})
    for row in answer["stacks"]:
        click.echo(f"Slot {row['slot']}, pid {row['pid']}:")
        click.echo(row["stack"].rstrip() or "(it did not answer: it may be stopped)")


@click.command()
@click.option("--at-once", is_flag=True, help="Hand back what runs, instead of letting it finish.")
@control_options
def stop(at_once: bool, control: Path | None, shadow: str | None) -> None:
    """Stop a running daemon, and wait until it has ended."""
    answer = call(control, shadow, {"command": "stop", "at_once": at_once})
    with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
        wait_for_end(answer["pid"])
    click.echo("Stopped.")


def wait_for_end(pid: int) -> None:
    """Raises ProcessLookupError when it has ended already, and ClickException when it takes too long."""
    pidfd = os.pidfd_open(pid)
    try:
        # A pidfd is readable when its process has ended.
        if not select.select([pidfd], [], [], STOP_SECONDS)[0]:
            raise click.ClickException(
                f"The daemon (pid {pid}) is still ending after {STOP_SECONDS:g} s; see `shadowsd status`."
            )
    finally:
        os.close(pidfd)

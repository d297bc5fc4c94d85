"""The command line `shadows`: runs a worker, and looks at and acts on what a shadow holds."""

import click

from shadows import __version__

from .program import Program
from .quarantine import quarantine
from .snapshot import clear, snapshot
from .strikes import cancel, pause, restore, resume, strike
from .tasks import tasks
from .watch import watch
from .why import why
from .worker import worker
from .workers import workers


# Each option has an environment variable: SHADOWS_SNAPSHOT_LIMIT is that of `shadows snapshot --limit`.
@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SHADOWS"})
@click.version_option(__version__, prog_name="shadows", allow_from_autoenv=False)
def main() -> None:
    """Background tasks for Python, through Redis streams.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.
    """


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


for command in (
    worker,
    snapshot,
    why,
    watch,
    clear,
    tasks,
    workers,
    strike,
    restore,
    pause,
    resume,
    cancel,
    quarantine,
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="shadows")

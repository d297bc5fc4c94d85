"""The command line `shadowsd`: until the daemon is released, its version and what to use instead."""

import sys

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.version_option(package_name="shadow-task", prog_name="shadowsd")
def main() -> None:
    """The daemon arrives in the next release; `shadows worker` runs tasks today."""
    click.echo("shadowsd: the daemon arrives in the next release; use `shadows worker` to run tasks.", err=True)
    sys.exit(2)

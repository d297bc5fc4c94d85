"""`shadowsd run`: the master in the foreground, as service managers and containers want it."""

import asyncio
import faulthandler
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from setproctitle import setproctitle

from shadows import Shadow
from shadows.amounts import counted
from shadows.errors import ConfigurationError
from shadowsd.master.assignment import Client, Engine
from shadowsd.master.master import Master
from shadowsd.master.paths import logical_directory, own_control_path
from shadowsd.master.settings import FORK, Settings
from shadowsd.observe.logs import configure_logging, default_format, flush_log

from .daemon_options import daemon_options, default_name
from .program import Misconfigured
from .trial import try_to_import

ARGUMENTS = "shadowsd.arguments"
ENGINE = frozenset(Engine.__slots__)
BEATS = frozenset(("heartbeat_interval", "missed_heartbeats"))
# Options with names of their own in the settings.
ELSEWHERE = frozenset(("shadow_name", "url", "config", "paths", "app_dir", "name", "control", "logging_format"))


class Remembering(click.Command):
    """Keeps its arguments, so that a reload can read them again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As usual; click takes them out of the list."""
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


def settings_of(values: dict[str, Any], directory: Path) -> Settings:
    """The settings that a set of options means; `directory` is where the daemon was started. Raises
    ConfigurationError."""
    # Made and thrown away: it takes the environment into account, and refuses what no process could use.
    beats = {name: values[name] for name in BEATS}
    shadow = Shadow(values["shadow_name"], values["url"], **beats)
    control = values["control"] or own_control_path(shadow.name)
    app_dir = directory / (values["app_dir"] or "")
    if not app_dir.is_dir():
        raise ConfigurationError(
            f"--app-dir {app_dir} is no directory. Give the one that holds the modules of --tasks; without it they are "
            "looked for where shadowsd is started."
        )
    plain = {name: value for name, value in values.items() if name not in ENGINE | BEATS | ELSEWHERE}
    return Settings(
        shadow=shadow.name,
        name=values["name"] or default_name(),
        app_dir=str(app_dir),
        control=Path(control),
        insists_on_control=values["control"] is not None,
        client=Client(shadow.name, shadow.settings.url, **beats),
        tasks=tuple(values["paths"]),
        engine=Engine(**{name: value for name, value in values.items() if name in ENGINE}),
        logging_format=values["logging_format"] or default_format(),
        **plain,
    )


@click.command(cls=Remembering, context_settings={"show_default": True, "auto_envvar_prefix": "SHADOWSD"})
@daemon_options
@click.option("--check-config", is_flag=True, help="Import the tasks, say whether it would start, and end.")
@click.pass_context  # type: ignore[arg-type] # mypy can not match **values
def run(context: click.Context, check_config: bool, **values: Any) -> None:
    """Run tasks in several processes, and keep them alive.

    TERM: finish what runs, then end. INT: the same; a second one, or QUIT, hands it back at once. HUP: reload the
    code and the settings. TTIN, TTOU: one worker more, one less. USR1: the stacks of all workers to the log.
    """
    directory = logical_directory()
    settings = settings_of(values, directory)
    if check_config:
        check(settings)
        return
    configure_logging(settings.logging_level, settings.logging_format)
    # A watchdog aborts a master that is wedged; the log should tell where it was.
    if sys.stderr is not None:  # it may be started without one
        faulthandler.enable()
    # For `ps`, and because the arguments may hold a password, which is nobody's business there.
    setproctitle(f"shadowsd master of {settings.shadow}")
    code, failure = asyncio.run(serve(settings, lambda: reread(context, directory)))
    flush_log()
    if failure:
        raise Misconfigured(failure)
    sys.exit(code)


def check(settings: Settings) -> None:
    """Says what would start. Raises Misconfigured when it would not."""
    trial = try_to_import(settings)
    if trial.failure:
        click.echo(trial.traceback, err=True, nl=False)
        raise Misconfigured(trial.failure)
    known = ", ".join(trial.functions)
    click.echo(
        f"These settings can be used: {counted(settings.workers, 'worker')} of {settings.shadow!r}, which know {known}."
    )
    if trial.obstacles and settings.spawn == FORK:
        click.echo(f"Each worker is executed, not forked: the imports left {', and '.join(trial.obstacles)}.")


async def serve(settings: Settings, read_again: Callable[[], Settings]) -> tuple[int, str]:
    """The master's whole life; its exit code, and why it could not begin."""
    master = Master(settings, read_again)
    return await master.run(), master.node.failure


def reread(context: click.Context, directory: Path) -> Settings:
    """The same command line and environment, and the file as it is now."""
    try:
        fresh = run.make_context("run", list(context.meta[ARGUMENTS]), parent=context.parent)
    except click.ClickException as error:
        raise ConfigurationError(error.format_message()) from error
    return settings_of({name: value for name, value in fresh.params.items() if name != "check_config"}, directory)

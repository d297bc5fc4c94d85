"""`shadows worker`: one process that runs tasks until it is told to stop."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click
from setproctitle import setproctitle

from shadows import Shadow
from shadows.priorities import PRIORITIES, Priority
from shadowsd.engine import Worker
from shadowsd.engine.loading import load_fallback, load_tasks, make_importable
from shadowsd.observe.addresses import Address
from shadowsd.observe.health import WorkerHealth
from shadowsd.observe.logs import FORMATS, LEVELS, configure_logging, default_format, flush_log
from shadowsd.observe.watcher import Watcher

from .options import address, duration, function_path, priorities, shadow_options, task_paths
from .running import Running

if sys.platform != "win32":
    from uvloop import new_event_loop
else:  # pragma: no cover # the tests run where uvloop does
    from asyncio import new_event_loop

PREFIX = "SHADOWS_WORKER_"


class WorkerSettings(TypedDict):
    """The options that go to the engine as they are."""

    name: str | None
    concurrency: int
    priorities: tuple[Priority, ...]
    redelivery_timeout: timedelta
    reconnection_delay: timedelta
    minimum_check_interval: timedelta
    scheduling_resolution: timedelta


def option[F: Callable[..., Any]](name: str, **settings: Any) -> Callable[[F], F]:
    """An option of the worker, with its environment variable."""
    variable = PREFIX + name.strip("-").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, **settings)


@click.command(context_settings={"show_default": True})
@shadow_options
@click.option(
    "--tasks", "paths", callback=task_paths, multiple=True, metavar="MODULE:MEMBER",
    envvar=[f"{PREFIX}TASKS", "SHADOWS_TASKS"], show_envvar=True, show_default=False,
    help="Tasks to run: a list of functions, or a whole module. May be given several times.",
)  # fmt: skip
@option(
    "--fallback-task", callback=function_path, metavar="MODULE:FUNCTION", show_default=False,
    help="What runs tasks that are not known here, and wait otherwise.  [default: none]",
)  # fmt: skip
@option("--name", help="What people call this worker.  [default: host and process id]")
@option("--concurrency", type=int, default=10, help="How many tasks run at a time.")
@option(
    "--priorities", type=priorities, metavar="LIST", default=",".join(PRIORITIES),
    help="Which priorities are served; of what is ready, the higher always comes first.",
)  # fmt: skip
@option("--heartbeat-interval", type=duration, default="2s", help="How often the worker says that it lives.")
@option("--missed-heartbeats", type=int, default=5, help="After so many silent beats it is taken for dead.")
@option(
    "--redelivery-timeout", type=duration, default="5m",
    help="How long the event loop may be blocked before its tasks go to another worker.",
)  # fmt: skip
@option(
    "--reconnection-delay", type=duration, default="5s", help="The longest pause between two attempts to reach Redis."
)
@option(
    "--minimum-check-interval", type=duration, default="250ms",
    help="How often to look for work while Redis can't push it.",
)  # fmt: skip
@option(
    "--scheduling-resolution", type=duration, default="250ms",
    help="How often to look for due tasks while Redis can't push them.",
)  # fmt: skip
@option(
    "--healthcheck-port", type=address, metavar="[HOST:]PORT",
    help="Where /livez and /readyz answer.  [default: nowhere; without HOST, this machine only]",
)  # fmt: skip
@option(
    "--metrics-port", type=address, metavar="[HOST:]PORT",
    help="Where /metrics answers; it may be the same.  [default: nowhere; without HOST, this machine only]",
)  # fmt: skip
@option("--logging-level", type=click.Choice(LEVELS, case_sensitive=False), default="info", help="What is logged.")
@option(
    "--logging-format", type=click.Choice(FORMATS, case_sensitive=False), show_default=False,
    help="How it is logged.  [default: rich at a terminal, journal for systemd, else plain]",
)  # fmt: skip
@option("--until-finished", is_flag=True, help="End when nothing is scheduled, waiting or running any more.")
@option(
    "--app-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".",
    help="Where the modules of --tasks are.",
)  # fmt: skip
def worker(
    shadow_name: str | None, url: str | None, paths: list[str], logging_level: str, logging_format: str | None,
    until_finished: bool, app_dir: Path, healthcheck_port: Address | None, metrics_port: Address | None,
    heartbeat_interval: timedelta, missed_heartbeats: int, fallback_task: str | None,
    **settings: Unpack[WorkerSettings],
) -> None:  # fmt: skip
    """Run tasks.

    TERM or INT: finish what runs, then end. A second one, or QUIT: hand it back and end at once. Without
    Redis it waits, and begins by itself.
    """
    configure_logging(logging_level, logging_format or default_format())
    shadow = Shadow(shadow_name, url, heartbeat_interval, missed_heartbeats)
    try:
        make_importable(app_dir)
        engine = Worker(shadow, fallback_task=load_fallback(fallback_task, app_dir), **settings)
        # For `ps`, and because the arguments may hold a password, which is nobody's business there.
        setproctitle(f"shadows worker {engine.name} of {shadow.name}")
        health = WorkerHealth(engine)
        with closing(Watcher(engine, health, healthcheck_port, metrics_port)) as watcher:
            load_tasks(shadow, paths, app_dir)
            watcher.start()
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(Running(shadow, engine, health, until_finished).run())
    finally:
        # What is shown next, such as an error, goes straight to standard error.
        flush_log()

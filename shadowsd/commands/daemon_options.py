"""The options of `shadowsd run`: each on the command line, in the environment, and in a TOML file."""

import json
import re
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shadows import lazy
from shadows.priorities import PRIORITIES
from shadowsd.master.cpus import usable_cpus
from shadowsd.observe.logs import FORMATS, LEVELS

from .options import address, duration, function_path, priorities, shadow_options, task_paths
from .program import Misconfigured

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# What a command line may say, and a file that it names may not.
NOT_IN_A_FILE = ("config", "check_config", "help")
SIZE = re.compile(r"([0-9]+)\s*([kmg]?)i?b?", re.IGNORECASE)


def size(text: str | int) -> int:
    """The type of an option such as `200M` or `1G`, in bytes."""
    found = SIZE.fullmatch(str(text).strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is not a size. Write it like 200M, 1G, or 1048576 for bytes.")
    return int(found[1]) * UNITS[found[2].lower()]


def count(text: str | int) -> int:
    """The type of `--workers`: a number, or `auto`."""
    if str(text).strip().lower() == "auto":
        return usable_cpus()
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number of workers. Write a number from 1, or auto.") from None


def read_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Makes the file's values the defaults of all other options."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(f"--config {path} can't be read: {error.strerror}. Give the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"--config {path} is no TOML: {error}. Write lines such as `workers = 8`.") from None
    known = {name: each for each in context.command.params for name in names_of(each) if name not in NOT_IN_A_FILE}
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            raise Misconfigured(f"--config {path}: there is no setting {key!r}{nearest(name, known)}")
        option = known[name]
        defaults[option.name or name] = as_written(path, key, value, option)
        try:
            # Here, where it can still be said that the file is wrong, and not the command line.
            option.process_value(context, defaults[option.name or name])
        except click.BadParameter as error:
            raise Misconfigured(f"--config {path}: {key!r} can't be used: {error.message}") from None
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def as_written(path: Path, key: str, value: Any, option: click.Parameter) -> Any:
    """A value of the file as the command line would have it: text, or several texts."""
    several = isinstance(option, click.Option) and option.multiple
    for value_type, name in ((dict, "a table"), (bool, "true or false"), *(() if several else ((list, "a list"),))):
        if isinstance(value, value_type):
            raise Misconfigured(
                f"--config {path}: {key!r} is {name}; expected {'texts' if several else 'one value'}. Write it as "
                f"{key} = {json.dumps(['app.tasks'] if several else option.default or 'text')}."
            )
    return [str(item) for item in (value if isinstance(value, list) else [value])] if several else str(value)


def names_of(parameter: click.Parameter) -> set[str]:
    """How an option may be called in a file: as on the command line, with underscores for dashes."""
    return {name.lstrip("-").replace("-", "_") for name in parameter.opts}


def nearest(name: str, known: dict[str, Any]) -> str:
    """A suggestion, if one is near."""
    found = lazy.difflib().get_close_matches(name, known, 1)
    return f". Did you mean {found[0]!r}?" if found else f". There are {', '.join(sorted(known))}."


def option[F: Callable[..., Any]](name: str, **settings: Any) -> Callable[[F], F]:
    """An option of the daemon; what also belongs to a worker is taken from a worker's variable, too."""
    suffix = name.strip("-").replace("-", "_").upper()
    return click.option(name, envvar=[f"SHADOWSD_{suffix}", f"SHADOWS_WORKER_{suffix}"], show_envvar=True, **settings)


def daemon_options[F: Callable[..., Any]](function: F) -> F:
    """All of them; the file is read first."""
    for decorate in reversed(OPTIONS):
        function = decorate(function)
    return shadow_options(function)


def default_name() -> str:
    """What a node is called: a process id would make each restart a new one."""
    return socket.gethostname()


OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--config", type=click.Path(path_type=Path), is_eager=True, callback=read_config, envvar="SHADOWSD_CONFIG",
        show_envvar=True, help="A TOML file with these settings; read again at each reload.",
    ),
    click.option(
        "--tasks", "paths", callback=task_paths, multiple=True, metavar="MODULE[:MEMBER]",
        envvar=["SHADOWSD_TASKS", "SHADOWS_WORKER_TASKS", "SHADOWS_TASKS"], show_envvar=True, show_default=False,
        help="Tasks to run: a list of functions, or a whole module. May be given several times.",
    ),
    option(
        "--fallback-task", callback=function_path, metavar="MODULE:FUNCTION",
        help="What runs tasks that are not known here, and wait otherwise.  [default: none]",
    ),
    option("--workers", type=count, default="auto", help="How many processes run tasks; auto is one a processor."),
    option("--concurrency", type=int, default=10, help="How many tasks each of them runs at a time."),
    option(
        "--priorities", type=priorities, metavar="LIST", default=",".join(PRIORITIES),
        help="Which priorities are served; of what is ready, the higher always comes first.",
    ),
    option("--name", help="What people call this node.  [default: the host's name]"),
    option("--app-dir", type=click.Path(path_type=Path), help="Where the modules of --tasks are.  [default: here]"),
    option(
        "--drain-timeout", type=duration, default="25s",
        help="How long running tasks may take to finish when the daemon stops; then they are handed back.",
    ),
    option(
        "--reload-drain-timeout", type=duration,
        help="The same for workers that a reload replaced.  [default: as long as they take]",
    ),
    option("--boot-timeout", type=duration, default="60s", help="How long imports and a worker's start may take."),
    option(
        "--hang-timeout", type=duration,
        help="How long a worker may be silent before it is ended.  [default: --redelivery-timeout]",
    ),
    option("--task-timeout", type=duration, help="A Timeout for tasks that declare none.  [default: none]"),
    option("--max-tasks", type=int, help="Replace a worker after about so many tasks.  [default: never]"),
    option("--max-memory", type=size, help="Replace a worker that takes so much more than at its start, as 200M."),
    option("--max-deaths", type=int, default=3, help="Quarantine a task at so many deaths of its worker."),
    option("--spawn", type=click.Choice(["fork", "exec"]), default="fork", help="How workers are made."),
    option("--control", type=click.Path(path_type=Path), help="The control socket.  [default: one for each shadow]"),
    option("--heartbeat-interval", type=duration, default="2s", help="How often each process says that it lives."),
    option("--missed-heartbeats", type=int, default=5, help="After so many silent beats it is taken for dead."),
    option("--redelivery-timeout", type=duration, default="5m", help="As of `shadows worker`."),
    option("--reconnection-delay", type=duration, default="5s", help="The longest pause between tries for Redis."),
    option("--minimum-check-interval", type=duration, default="250ms", help="As of `shadows worker`."),
    option("--scheduling-resolution", type=duration, default="250ms", help="As of `shadows worker`."),
    option(
        "--healthcheck-port", type=address, metavar="[HOST:]PORT",
        help="Serve /livez and /readyz there; on this machine only, unless a host is given.",
    ),
    option("--metrics-port", type=address, metavar="[HOST:]PORT", help="Serve /metrics for Prometheus there."),
    option(
        "--logging-level", type=click.Choice(LEVELS, case_sensitive=False), default="info", help="What is logged."
    ),
    option(
        "--logging-format", type=click.Choice(FORMATS, case_sensitive=False), show_default=False,
        help="How it is logged.  [default: rich at a terminal, journal for systemd, else plain]",
    ),
]  # fmt: skip

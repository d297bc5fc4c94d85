"""What the options of several commands have in common: their types, and how a command gets its shadow."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Concatenate

import click

from shadows import Shadow
from shadows.durations import parse_duration
from shadows.priorities import Priority, in_order
from shadowsd.observe.addresses import Address, read_address


def duration(text: str | timedelta) -> timedelta:
    """The type of an option such as `50ms`, `10s`, `10m`, `1h30m`, or a number of seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def address(text: str | Address) -> Address:
    """The type of an option such as `9090`, `0.0.0.0:9090` or `[::1]:9090`."""
    try:
        return text if isinstance(text, Address) else read_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def priorities(text: str | tuple[Priority, ...]) -> tuple[Priority, ...]:
    """The type of an option such as `high,normal`."""
    named = text.replace(",", " ").split() if isinstance(text, str) else text
    known = tuple(in_order(named))
    if not known or {*named} - {*known}:
        raise click.BadParameter(f"{text!r}; expected some of high, normal and low, parted by commas.")
    return known


def when(text: str) -> timedelta | datetime:
    """The type of an option that is a duration from now, or a moment."""
    try:
        return parse_duration(text)
    except ValueError as error:
        refused = f"{error} Or give a moment, as in 2031-05-01T12:00:00Z."
    try:
        # Written by a person at this machine: without a zone it is this machine's time.
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise click.BadParameter(refused) from None


def task_paths(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """The callback of an option with one or more `module:member`, or whole `module`s, parted by commas."""
    paths = [path for value in values for path in value.replace(",", " ").split()]
    for path in paths:
        module, colon, member = path.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *([member] if colon else []))):
            raise click.BadParameter(
                f"{path!r} does not name tasks; expected module:member or module, as Python imports it: for a file "
                "app/tasks.py that is app.tasks, or app.tasks:collection."
            )
    return paths


def function_path(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The callback of an option with one `module:function`."""
    if value is not None:
        paths = task_paths(context, parameter, (value,))
        if len(paths) != 1 or ":" not in paths[0]:
            raise click.BadParameter(f"{value!r} does not name one function; expected module:function.")
    return value


def shadow_options[F: Callable[..., Any]](function: F) -> F:
    """`--shadows` and `--url`, which every command has."""
    name = click.option(
        "--shadows", "shadow_name", envvar="SHADOWS_NAME", show_envvar=True, metavar="NAME",
        help="The set of tasks.  [default: shadows]",
    )  # fmt: skip
    url = click.option(
        "--url", envvar="SHADOWS_URL", show_envvar=True, metavar="URL",
        help="Where Redis is.  [default: redis://localhost:6379/0]",
    )  # fmt: skip
    return name(url(function))


def json_option[F: Callable[..., Any]](function: F) -> F:
    """`--json`, for commands that show something."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs to read.")(function)


def on_shadow[**P](
    command: Callable[Concatenate[Shadow, P], Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Makes a command of an async function: its first argument is the shadow that the options name, open."""

    async def opened(shadow: Shadow, *args: P.args, **kwargs: P.kwargs) -> None:
        async with shadow:
            await command(shadow, *args, **kwargs)

    @shadow_options
    @functools.wraps(command)
    def run(shadow_name: str | None, url: str | None, *args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(opened(Shadow(shadow_name, url), *args, **kwargs))

    return run

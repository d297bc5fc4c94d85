"""`shadows strike`, `restore`, `pause`, `resume` and `cancel`: holding tasks back without a deployment."""

import json
from collections.abc import Callable
from typing import Any

import click

from shadows import Shadow
from shadows.strikes import OPERATORS, Strike, checked_strike

from .options import on_shadow

EVERY = "*"


def strike_arguments[F: Callable[..., Any]](function: F) -> F:
    """FUNCTION [PARAMETER OPERATOR VALUE...]"""
    values = click.argument("values", nargs=-1, metavar="[VALUE]...")
    operator = click.argument("operator", required=False, type=click.Choice(list(OPERATORS)), metavar="[OPERATOR]")
    parameter = click.argument("parameter", required=False)
    return click.argument("function")(parameter(operator(values(function))))


@click.command()
@strike_arguments
@on_shadow
async def strike(
    shadow: Shadow, function: str, parameter: str | None, operator: str | None, values: tuple[str, ...]
) -> None:
    """Hold back all calls of FUNCTION, or those whose PARAMETER compares so.

    '*' as FUNCTION means every task with that parameter. OPERATOR is one of == != > >= < <= between, which takes two
    values. A VALUE that reads as JSON is taken as such (5, true, "5"), anything else as text; write --
    before a negative number.

    \b
    shadows strike send_mail
    shadows strike send_mail customer_id == 42
    shadows strike '*' amount between 10 20
    """
    chosen = strike_of(function, parameter, operator, values)
    await shadow.strike(*chosen)
    click.echo(f"Struck {chosen} in {shadow.name}.")


@click.command()
@strike_arguments
@on_shadow
async def restore(
    shadow: Shadow, function: str, parameter: str | None, operator: str | None, values: tuple[str, ...]
) -> None:
    """Lift the strike that was made with the same arguments."""
    chosen = strike_of(function, parameter, operator, values)
    await shadow.wait_for_strikes_loaded()
    known = chosen in shadow.strikelist.strikes
    await shadow.restore(*chosen)
    if known:
        click.echo(f"Restored {chosen} in {shadow.name}.")
    else:
        present = "; ".join(map(str, shadow.strikelist.strikes)) or "none"
        click.echo(f"There was no strike on {chosen} in {shadow.name}. Strikes now: {present}.")


def strike_of(function: str, parameter: str | None, operator: str | None, values: tuple[str, ...]) -> Strike:
    """The strike that the arguments mean."""
    if parameter is not None and not values:
        raise click.UsageError(
            f"The parameter {parameter!r} needs an operator and a value, as in: {function} {parameter} == 42"
        )
    if operator == "between":
        value: Any = tuple(map(read_value, values))
    elif len(values) > 1:
        raise click.UsageError(f"{operator} compares with one value, and got {len(values)}: put quotes around it.")
    else:
        value = read_value(values[0]) if values else None
    return checked_strike(None if function == EVERY else function, parameter, operator or "==", value)


def read_value(text: str) -> Any:
    """JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@click.command()
@click.argument("function", required=False)
@on_shadow
async def pause(shadow: Shadow, function: str | None) -> None:
    """Let executions of FUNCTION, or of all functions, wait until `shadows resume`; what runs is finished."""
    await shadow.pause(function)
    click.echo(
        f"Paused {function or 'all functions'} in {shadow.name}. Paused now: {', '.join(await shadow.paused())}."
    )


@click.command()
@click.argument("function", required=False)
@on_shadow
async def resume(shadow: Shadow, function: str | None) -> None:
    """Let executions of FUNCTION, or of all functions, run again.

    What was paused by its name has to be resumed by its name: `shadows pause` without one is a pause of its own.
    """
    await shadow.resume(function)
    left = ", ".join(await shadow.paused()) or "nothing"
    click.echo(f"Resumed {function or 'all functions'} in {shadow.name}. Paused now: {left}.")


@click.command()
@click.argument("key")
@on_shadow
async def cancel(shadow: Shadow, key: str) -> None:
    """End the execution with KEY, whether it is scheduled, waiting or running."""
    if await shadow.cancel(key):
        click.echo(f"Cancelled {key!r} in {shadow.name}.")
    else:
        click.echo(f"Nothing to cancel: no execution in {shadow.name} has the key {key!r} now.")

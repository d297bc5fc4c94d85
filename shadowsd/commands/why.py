"""`shadows why`: why an execution is where it is, and what to do."""

import click
from click.exceptions import Exit

from shadows import Shadow
from shadows.obstacles import Reason
from shadows.why import read_why

from .options import json_option, on_shadow
from .tables import printable, record, show_json
from .why_words import Words


@click.command()
@click.argument("key")
@json_option
@on_shadow
async def why(shadow: Shadow, key: str, as_json: bool) -> None:
    """Say why the execution with KEY is where it is, and what to do.

    It only reads. Ends with exit code 1 when nothing is known of that key.
    """
    seen = await read_why(shadow, key)
    if as_json:
        show_json({"shadows": shadow.name, "url": shadow.url, **record(seen)})
    else:
        for sentence in Words(seen, shadow.name, shadow.url).sentences():
            click.echo(printable(sentence), err=Reason.NOTHING in seen.reasons)
    if Reason.NOTHING in seen.reasons:
        raise Exit(1)

"""`shadowsd top`: what a running daemon does, second by second."""

import select
import sys
import termios
import tty
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.live import Live

from .calling import call, control_options
from .depths import Depths
from .tables import show
from .top_view import COLUMNS, Sample, head_of, rows_of, screen

REFRESH_SECONDS = 1.0
# Ctrl-C does not come as a key where the terminal still makes a signal of it.
QUIT_KEYS = ("q", "Q", "\x03", "\x1b", "\x04")


@click.command()
@control_options
@click.option(
    "--url", envvar="SHADOWS_URL", show_envvar=True, metavar="URL",
    help="Where Redis is, for what waits there.  [default: redis://localhost:6379/0]",
)  # fmt: skip
def top(control: Path | None, shadow: str | None, url: str | None) -> None:
    """Watch a running daemon: rates, what waits, what runs longest, restarts. q or Ctrl-C ends it.

    Where no terminal is, it looks for a second, and prints what it saw.
    """
    first = Sample(call(control, shadow, {"command": "status"}), monotonic())
    with Depths(first.answer["shadow"], url, first.answer["url"]) as depths:
        if sys.stdout.isatty():
            watch(first, control, shadow, depths)
        else:
            print_once(first, control, shadow, depths)


def print_once(first: Sample, control: Path | None, shadow: str | None, depths: Depths) -> None:
    """Two looks, a second apart, so that there are rates."""
    with Keyboard() as keyboard:
        keyboard.pressed(REFRESH_SECONDS)
    second = Sample(call(control, shadow, {"command": "status"}), monotonic())
    for line in head_of(first, second, depths):
        click.echo(line)
    show("Workers", COLUMNS, rows_of(first, second))


def watch(first: Sample, control: Path | None, shadow: str | None, depths: Depths) -> None:
    """Draws, waits for a key or a second, looks again. A daemon that is away may come back: it is asked on."""
    before = latest = first
    trouble = ""
    try:
        with Keyboard() as keyboard, Live(console=Console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(screen(before, latest, depths, trouble), refresh=True)
                if keyboard.pressed(REFRESH_SECONDS):
                    return
                try:
                    answer: dict[str, Any] = call(control, shadow, {"command": "status"})
                except click.ClickException as error:
                    trouble = error.format_message()
                else:
                    before, latest, trouble = latest, Sample(answer, monotonic()), ""
    except KeyboardInterrupt:
        return


class Keyboard:
    """Hears single keys, where there is a keyboard, and leaves the terminal as it was."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        if self._fd is not None:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def pressed(self, seconds: float) -> bool:
        """Waits so long, or until a key says that it is enough."""
        deadline = monotonic() + seconds
        watched = [self._fd] if self._fd is not None else []
        while (left := deadline - monotonic()) > 0:
            if not select.select(watched, [], [], left)[0]:
                continue
            key = sys.stdin.read(1)
            if not key or key in QUIT_KEYS:
                return True
        return False

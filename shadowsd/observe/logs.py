"""How a process of ours writes its log: for people at a terminal, for files, for the journal, or for machines.

Whoever logs only formats the line; a `Writer` writes it. In a forked copy of a process call `configure_logging`
again, or the copy writes in its parent's words (such as its parent's level).
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from io import StringIO
from typing import Final

from pythonjsonlogger.json import JsonFormatter
from rich.console import Console
from rich.logging import RichHandler

from shadows.amounts import counted

from .journal import is_journal, prioritized
from .writer import Writer

FORMATS: Final = ("rich", "plain", "journal", "json")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")

PLAIN: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# The journal has the time already.
JOURNAL: Final = "%(levelname)-7s %(name)s: %(message)s"
STANDARD_ERROR: Final = 2

type Render = Callable[[logging.LogRecord], str]


def default_format() -> str:
    """Colours for a person, priorities for the journal, plain lines for whatever else collects them: rich would wrap
    those at 80 columns."""
    if sys.stderr is None:
        return "plain"
    if sys.stderr.isatty():
        return "rich"
    return "journal" if is_journal(STANDARD_ERROR) else "plain"


def error_text(text: str) -> str:
    """What is written to standard error beside the log, such as why a command ends, as that is told in the journal."""
    return prioritized(text, logging.ERROR) if default_format() == "journal" else text


def configure_logging(level: str, style: str) -> None:
    """Sends the log of the whole process to standard error, in one of FORMATS."""
    logging.basicConfig(level=level.upper(), handlers=[LineHandler(style)], force=True)
    logging.captureWarnings(True)


def change_logging(level: str, style: str) -> None:
    """The same in a process that logs already, for what it logs from now on: what waits to be written, and what was
    counted as lost, stays."""
    logging.getLogger().setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.restyle(style)


def flush_log() -> None:
    """Writes out what was logged, before something else is written to standard error."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def rest_log() -> None:
    """The same, and leaves no thread, until something is logged again: for a process that forks."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.writer.rest()


def log_lines_dropped() -> int:
    """How many lines of this process's log were lost, because standard error did not take them."""
    return sum(each.writer.dropped for each in logging.getLogger().handlers if isinstance(each, LineHandler))


class LineHandler(logging.Handler):
    """Formats records, and leaves the writing to a thread."""

    def __init__(self, style: str, descriptor: int | None = None) -> None:
        super().__init__()
        self.restyle(style)
        self.writer = Writer(
            error_descriptor() if descriptor is None else descriptor,
            lambda missing, why: encoded(self._render_notice(notice(missing, why))),
        )

    def restyle(self, style: str) -> None:
        """Formats in another of FORMATS from now on."""
        self._style = style
        self._render = renderer(style)
        # The thread says by itself what is missing, perhaps while somebody else formats a record.
        self._render_notice = renderer(style)

    def emit(self, record: logging.LogRecord) -> None:
        """Formats one record. One that can't be formatted is told of in its place, not on standard error itself as
        logging does, where that could block."""
        try:
            text = self._render(record)
        except Exception:
            where = f"{record.pathname}:{record.lineno}"
            text = f"What was logged at {where} can't be formatted.\n{traceback.format_exc()}"
            if self._style == "journal":
                text = prioritized(text, record.levelno)
        # An error may be the last thing that a process says.
        self.writer.put(encoded(text), urgent=record.levelno >= logging.ERROR)

    def flush(self) -> None:
        """Waits for the thread, but not long; logging calls it at the end of the process."""
        self.writer.flush()

    def close(self) -> None:
        """Ends the thread; when another configuration takes the place of this one."""
        self.writer.rest()
        super().close()


def renderer(style: str) -> Render:
    """What makes the text of a record, with its line end."""
    if style == "rich":
        return RichLines()
    if style == "journal":
        lines = logging.Formatter(JOURNAL)
        return lambda record: prioritized(lines.format(record), record.levelno)
    formatter = logging.Formatter(PLAIN)
    if style == "json":
        names = {"levelname": "level", "name": "logger"}
        formatter = JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp=True)
    return lambda record: formatter.format(record) + "\n"


class RichLines:
    """Renders by rich, without markup or highlights that a task's own words could abuse."""

    def __init__(self) -> None:
        # Rich finds out the width by itself, and what else the environment says of colours.
        terminal = True if os.isatty(STANDARD_ERROR) else None
        self._console = Console(file=StringIO(), force_terminal=terminal)
        self._handler = Raising(console=self._console, show_path=False, omit_repeated_times=False, markup=False)
        self._handler.setFormatter(logging.Formatter("%(message)s", "[%X]"))

    def __call__(self, record: logging.LogRecord) -> str:
        """The lines of one record."""
        self._console.file = page = StringIO()
        self._handler.emit(record)
        return page.getvalue()


class Raising(RichHandler):
    """Lets its caller tell of a record that can't be rendered."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # logging's name for it
        """Called amidst an exception."""
        raise  # noqa: PLE0704


def notice(missing: int, why: str) -> logging.LogRecord:
    """The record that stands for lines that are missing."""
    values = {
        "name": "shadows.log", "levelno": logging.WARNING, "levelname": "WARNING",
        "msg": "%s missing here, because standard error could not be written: %s.",
        "args": (counted(missing, "line of the log is", "lines of the log are"), why),
    }  # fmt: skip
    return logging.makeLogRecord(values)


def encoded(text: str) -> bytes:
    """The bytes of a text in the encoding of standard error, whatever is in it."""
    return text.encode(getattr(sys.stderr, "encoding", None) or "utf-8", "backslashreplace")


def error_descriptor() -> int | None:
    """Where standard error is; None when the process was started without one.

    Its number then belongs to whatever was opened first, perhaps a connection: nothing may be written there. So that
    it does not come to that, and faults of the interpreter have a place, too, a free one is taken for nothing.
    """
    if sys.__stderr__ is not None:
        return STANDARD_ERROR
    try:
        os.fstat(STANDARD_ERROR)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        if null != STANDARD_ERROR:
            os.dup2(null, STANDARD_ERROR)
            os.close(null)
        # For the processes that this one executes, too.
        os.set_inheritable(STANDARD_ERROR, True)
    return None

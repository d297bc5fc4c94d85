"""How a process of ours writes its log: for people at a terminal, for files, or for machines."""

import logging
import sys
from typing import Final

from pythonjsonlogger.json import JsonFormatter
from rich.console import Console
from rich.logging import RichHandler

FORMATS: Final = ("rich", "plain", "json")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")

PLAIN = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def default_format() -> str:
    """Colours for a person, plain lines for whatever collects them: rich would wrap those at 80 columns."""
    return "rich" if sys.stderr.isatty() else "plain"


def configure_logging(level: str, style: str) -> None:
    """Sends the log of the whole process to standard error, in one of FORMATS."""
    logging.basicConfig(level=level.upper(), handlers=[handler_for(style)], force=True)
    logging.captureWarnings(True)


def handler_for(style: str) -> logging.Handler:
    """The handler of one format; without markup or highlights that a task's own words could abuse."""
    handler: logging.Handler
    if style == "rich":
        handler = RichHandler(console=Console(stderr=True), show_path=False, omit_repeated_times=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s", "[%X]"))
        return handler
    handler = logging.StreamHandler()
    if style == "json":
        names = {"levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp=True))
    else:
        handler.setFormatter(logging.Formatter(PLAIN))
    return handler

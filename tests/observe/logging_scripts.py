"""Scripts that log, run in processes of their own: what they do to standard error must not be done to the tests'."""

from pathlib import Path

from tests.processes import write_script

BEGIN = """
import logging
import os
import resource
import signal
import sys
import threading
import time

from shadowsd.observe.logs import configure_logging, flush_log, log_lines_dropped, rest_log

logger = logging.getLogger("shadows.worker")
configure_logging("info", sys.argv[1] if sys.argv[1:] else "plain")
"""


def script(directory: Path, body: str, name: str = "logs") -> Path:
    return write_script(directory, name, BEGIN + body)


def messages(output: str) -> list[str]:
    """What comes after time, level and logger."""
    return [line.partition(": ")[2] for line in output.splitlines()]

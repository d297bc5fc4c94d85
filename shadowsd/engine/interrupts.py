"""Tells a Ctrl-C, which hits whatever runs, from a task that raises KeyboardInterrupt by itself."""

from opcode import opmap
from types import TracebackType

RAISE = opmap["RAISE_VARARGS"]


def from_signal(error: KeyboardInterrupt) -> bool:
    """Whether a Ctrl-C hit the task by chance; it is meant for the process, and no outcome of the task.

    Then asyncio's handler raised it, or Python's own, which shows as coming from a place without a `raise`.
    """
    if error.__traceback__ is None:
        return False
    last = innermost(error.__traceback__)
    code = last.tb_frame.f_code
    return code.co_name == "_on_sigint" or code.co_code[last.tb_lasti] != RAISE


def innermost(traceback: TracebackType) -> TracebackType:
    """Where it was raised."""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback

"""Tells a Ctrl-C, which hits whatever runs, from a task that raises KeyboardInterrupt by itself."""

from types import TracebackType


def from_signal(error: KeyboardInterrupt) -> bool:
    """Whether a Ctrl-C hit the task by chance; it is meant for the process, and no outcome of the task."""
    return error.__traceback__ is not None and innermost(error.__traceback__) == "_on_sigint"


def innermost(traceback: TracebackType) -> str:
    """The name of the function that raised."""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_name

"""The lines that a run leaves in the log: one when it starts, and one when it ends.

A run that failed or is retried ends with the line about its error, and has no other. Whoever calls `started` has
looked whether anybody reads INFO, and calls `ended` or `dropped` only after that: for nobody, nothing is rendered.
"""

from datetime import UTC, datetime, timedelta
from logging import INFO, getLogger
from typing import Any

from shadows.annotations import format_arguments
from shadows.records import moment
from shadows.registry import Task

from .entries import Entry
from .settle import Verdict
from .slots import Running

logger = getLogger("shadows.worker")

# Enough to recognise an error in a table; the traceback is kept whole beside it.
LONGEST_CAUSE = 300

MILLISECOND = timedelta(milliseconds=1)
# Verdicts by their words. Those that are missing have the lines about their errors.
ENDS = {"c": "completed", "x": "was cancelled", "b": "was handed back"}


def started(entry: Entry, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The function is about to be called."""
    told = at_attempt(entry)
    if entry.redelivered:
        told += ", redelivered"
    if entry.due is not None:
        # By this host's clock: where that runs behind Redis's, a task may seem to be early, and none is.
        late = max(datetime.now(UTC) - moment(entry.due), timedelta(0))
        told += f", {late // MILLISECOND} ms late"
    logger.info("%s with key %r started%s.", call_of(task, args, kwargs), entry.key, told, extra=fields_of(entry))


def retried(entry: Entry, error: BaseException) -> None:
    """The function raised, and is called again."""
    if logger.isEnabledFor(INFO):
        logger.info(
            "%s with key %r failed at attempt %d and is retried: %r",
            entry.function, entry.key, entry.attempt, error, extra=fields_of(entry),
        )  # fmt: skip


def failed(entry: Entry, error: BaseException) -> None:
    """The function raised, and that is the end of it."""
    logger.error(
        "%s with key %r failed at attempt %d.", entry.function, entry.key, entry.attempt,
        exc_info=(type(error), error, error.__traceback__), extra=fields_of(entry),
    )  # fmt: skip


def cause_of(entry: Entry, error: BaseException) -> str:
    """Why a failure is kept: how often it was tried, and what the last attempt raised, cut to a line."""
    try:
        said = f"{type(error).__name__}: {error}"
    except Exception:  # a class of the user's may fail to say anything
        said = type(error).__name__
    text = " ".join(said.encode(errors="backslashreplace").decode().split())
    tried = "once" if entry.attempt == 1 else f"{entry.attempt} times"
    return f"it was tried {tried}, and failed with {text[:LONGEST_CAUSE]}"


def ended(running: Running, verdict: Verdict) -> None:
    """The run is over, and this becomes of it."""
    if verdict.word not in ENDS:
        return
    entry = running.entry
    reason = f": {verdict.body}" if isinstance(verdict.body, str) else ""
    logger.info(
        "%s with key %r %s%s after %d ms%s.", entry.function, entry.key, ENDS[verdict.word], at_attempt(entry),
        running.elapsed // MILLISECOND, reason, extra=fields_of(entry),
    )  # fmt: skip


def dropped(running: Running, word: str) -> None:
    """The run is over, and what it came to is not written."""
    if word not in ENDS or running.handed_back:
        return  # that it was handed back stands in the log from when it was
    entry = running.entry
    logger.info(
        "%s with key %r ended%s after %d ms and does not count: %s.", entry.function, entry.key, at_attempt(entry),
        running.elapsed // MILLISECOND, running.stop, extra=fields_of(entry),
    )  # fmt: skip


def fields_of(entry: Entry) -> dict[str, Any]:
    """What a task's own logger puts on its records, too: whoever collects them finds all lines of a run by its key."""
    return {"key": entry.key, "function": entry.function, "attempt": entry.attempt}


def at_attempt(entry: Entry) -> str:
    """Which attempt it is, where that is not the first."""
    return f" at attempt {entry.attempt}" if entry.attempt > 1 else ""


def call_of(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The function, with its arguments as far as logs may show them; its name alone when they may show none."""
    try:
        marks = task.signature.logged
        if not marks:
            return task.name
        arguments = task.signature.bind(args, kwargs).arguments
    except Exception as error:
        # A pickled call was not compared with the function: when they don't fit, that is for the call to find out.
        return f"{task.name}(<{type(error).__name__}>)"
    return f"{task.name}({format_arguments(arguments.items(), marks)})"

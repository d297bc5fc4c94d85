"""Importing the tasks as the daemon would, in a process that is thrown away: would it start?"""

import select
import signal
from dataclasses import dataclass
from time import monotonic

from shadowsd.master.generation import Generation, Plan, Stage
from shadowsd.master.settings import EXEC, Settings

# How long an import that was killed may take to be gone.
END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. `failure` is empty when the tasks can be imported; `traceback` is that of the user's module;
    `obstacles` keep a process of them from being forked."""

    failure: str
    traceback: str
    functions: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()


def try_to_import(settings: Settings) -> Trial:
    """Starts a zygote, hears what it says, and ends it. Raises OSError when no process can be had."""
    # Nothing is forked of it, and nothing shall warn that it can't be.
    plan = Plan(
        0, settings.shadow, settings.tasks, settings.fallback_task, settings.app_dir, EXEC, "warning",
        settings.logging_format,
    )  # fmt: skip
    generation = Generation(plan)
    generation.start()
    try:
        return hear(generation, monotonic() + settings.limits.boot, settings.limits.boot)
    finally:
        end(generation)


def hear(generation: Generation, deadline: float, boot_seconds: float) -> Trial:
    """Waits until it is ready, has failed, has ended, or has taken too long."""
    assert generation.channel is not None
    assert generation.pidfd is not None
    ends = [generation.channel.fileno(), generation.pidfd]
    while True:
        readable, _, _ = select.select(ends, [], [], max(0.0, deadline - monotonic()))
        # Heard first: who failed says so, and ends.
        generation.hear()
        if said := answer_of(generation):
            return said
        if generation.pidfd in readable and (how := generation.reap()) is not None:
            generation.ended()
            return Trial(f"importing the tasks ended the process: {how.cause}. Look at what their modules do.", "")
        if not readable:
            return Trial(
                f"importing the tasks takes longer than --boot-timeout allows ({boot_seconds:g} s). Look at what "
                "their modules do while they are imported, or raise it.",
                "",
            )


def answer_of(generation: Generation) -> Trial | None:
    """What the zygote said of itself; None as long as it imports."""
    if generation.stage is Stage.IMPORTING:
        return None
    return Trial(
        generation.failure, generation.traceback, tuple(generation.functions), tuple(generation.obstacles)
    )  # fmt: skip


def end(generation: Generation) -> None:
    """Leaves no process behind."""
    if generation.pidfd is None:
        return
    generation.kill(signal.SIGKILL, "it was a trial")
    select.select([generation.pidfd], [], [], END_SECONDS)
    generation.reap()
    generation.ended()

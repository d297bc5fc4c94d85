"""The states of an execution, and which script may move it from one to another."""

from enum import StrEnum


class ExecutionState(StrEnum):
    """Where an execution is in its life."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the execution."""
        return self in FINISHED


FINISHED = frozenset(
    (
        ExecutionState.COMPLETED,
        ExecutionState.FAILED,
        ExecutionState.CANCELLED,
        ExecutionState.QUARANTINED,
    )
)


class Disposition(StrEnum):
    """What became of one submission."""

    SCHEDULED = "scheduled"
    ALREADY_SCHEDULED = "already_scheduled"
    STRUCK = "struck"
    FAILED = "failed"


# One row for each script that moves executions: the states that it takes them from and to. `none` is an
# execution that does not exist. A move that is not listed here is forbidden; the first line of each
# script says the same, and a contract test compares them.
MOVES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(before.split()), frozenset(after.split()))
    for name, before, after in (
        (
            "submit",
            "none completed failed cancelled quarantined scheduled queued running",
            "scheduled queued",
        ),
        ("promote", "scheduled", "queued quarantined"),
        ("settle", "running", "completed failed cancelled scheduled queued"),
        ("cancel", "scheduled queued running", "cancelled"),
        ("clear", "scheduled queued", "cancelled"),
        ("claim", "queued", "running"),
        ("admit", "running", "running queued scheduled"),
        ("open", "queued running", "queued running completed failed cancelled"),
        ("takeover", "running", "queued quarantined"),
        ("leave", "running", "queued"),
        ("park", "running", "queued"),
        ("unpark", "queued", "queued"),
        ("quarantine", "running queued", "quarantined"),
        ("requeue", "quarantined", "queued"),
    )
}

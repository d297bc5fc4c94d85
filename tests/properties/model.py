"""What should be true of each key, in plain Python: no Redis, no time but hours that pass when they are told to."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

KEYS = ["a", "b", "c", "d"]
MAX_DEATHS, SUSPECT_DEATHS, SUSPECT_LOSSES, MAX_LOSSES = 3, 2, 3, 10
LIVE = ("scheduled", "queued")


@dataclass
class Job:
    """One submission of a key."""

    key: str
    kind: str
    label: str
    number: int
    state: str
    execution: Any = None
    due: bool = False
    attempt: int = 1
    deaths: int = 0
    losses: int = 0
    # A dead worker holds it, from which nobody has taken over yet; whether it had started there.
    held: bool = False
    began: bool = False
    outcome: tuple[str, ...] | None = None

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def ready(self) -> bool:
        return self.state == "queued" or (self.state == "scheduled" and self.due)

    @property
    def suspect(self) -> bool:
        return self.deaths >= SUSPECT_DEATHS or self.losses >= SUSPECT_LOSSES


@dataclass
class Model:
    """All keys of one shadow."""

    jobs: dict[str, Job] = field(default_factory=dict)
    # The last outcome of each key that is kept.
    kept: dict[str, Job] = field(default_factory=dict)
    quarantined: list[Job] = field(default_factory=list)
    strikes: set[tuple[str, str | int]] = field(default_factory=set)
    starts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    # Runs that were stopped in their midst, or ran on though they did not count: they may have come to their end.
    stopped: Counter[str] = field(default_factory=Counter)

    def struck(self, kind: str, number: int) -> bool:
        """By function, or by the argument `group`, which a countdown does not have."""
        return ("function", kind) in self.strikes or (kind != "countdown" and ("group", number) in self.strikes)

    def ready(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.ready]

    def submit(self, job: Job) -> None:
        before = self.jobs.get(job.key)
        if before is not None and before.live:
            self.end(before, "cancelled", "cancelled", "replaced")
        self.jobs[job.key] = job

    def end(self, job: Job, state: str, *outcome: str) -> None:
        job.state, job.outcome, job.held = state, outcome, False
        self.kept[job.key] = job

    def clear(self, running: list[Job] | None = None) -> int:
        cleared = [job for job in self.jobs.values() if job.live and job not in (running or [])]
        for job in cleared:
            self.end(job, "cancelled", "cancelled", "cleared")
        return len(cleared)

    def run(self) -> None:
        """Workers run until nothing is left that is due."""
        for key in list(self.jobs):
            while self.jobs[key].ready:
                self._run(self.jobs[key])

    def _run(self, job: Job) -> None:
        if self.struck(job.kind, job.number):
            self.end(job, "cancelled", "cancelled", "struck")
            return
        self.starts[job.label] += 1
        if job.kind in ("flaky", "patient") and job.attempt == 1:
            job.attempt, job.deaths, job.losses, job.due = 2, 0, 0, False
            job.state = "queued" if job.kind == "flaky" else "scheduled"
        elif job.kind == "broken":
            self.end(job, "failed", "error", job.label)
        else:
            self.ends[job.label] += 1
            result = f"{job.label} {job.number}" if job.kind == "countdown" else job.label
            self.end(job, "completed", "result", result)
            if job.kind == "countdown" and job.number > 1:
                self.jobs[job.key] = Job(job.key, job.kind, job.label, job.number - 1, "queued")

    def hold(self, held: list[Job], started: list[Job]) -> None:
        """A worker died that held some, of which some had started."""
        for job in held:
            job.held, job.began = True, job in started
        for job in started:
            self.starts[job.label] += 1

    def die(self, seen: bool) -> None:
        """Somebody takes over what it still holds; its master saw it die, or its lease ended."""
        held = [job for job in self.jobs.values() if job.held]
        alone = len(held) == 1
        for job in held:
            job.held = False
            if (seen and job.began) or (not seen and alone):
                job.deaths += 1
            elif not seen:
                job.losses += 1
            if job.deaths >= MAX_DEATHS or job.losses >= MAX_LOSSES:
                self.end(job, "quarantined", "quarantined")
                self.quarantined.append(job)

    def requeue(self, job: Job) -> None:
        """As a new submission, which nobody waits for."""
        self.quarantined.remove(job)
        self.jobs[job.key] = Job(job.key, job.kind, job.label, job.number, "queued")

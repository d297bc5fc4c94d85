"""The words of `shadows why`, from values: what is hard to bring about, and what a daemon adds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shadows import ExecutionState
from shadows.ahead import MOST_COUNTED, AtGate, Holder
from shadows.execution import ExecutionProgress
from shadows.obstacles import Crew, Reason
from shadows.snapshot import WorkerInfo
from shadows.sync import Shadow
from shadows.why import Earlier, Why
from shadowsd.commands.tables import record
from shadowsd.commands.why_words import Words
from tests.commands.commands import Daemon, output_of
from tests.waiting import wait_for

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)
AGO = NOW - timedelta(minutes=5)
BEAT = WorkerInfo("anna", AGO, "web-1", 7)


def said(*reasons: Reason, state: ExecutionState | None = ExecutionState.QUEUED, **facts: Any) -> list[str]:
    """All lines."""
    seen = Why("k", reasons, NOW, state, "send mail", since=AGO, submitted=AGO, **facts)
    return Words(seen, "shadows", "redis://here").sentences()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_and_is_data_without_any_fact(reason: Reason) -> None:
    """A fact may be missing, as after damage in Redis: an answer is better than an error."""
    lines = said(reason, strike="send_mail")
    assert len(lines) == 2
    assert all(line.endswith(".") and "None" not in line for line in lines)
    assert json.loads(json.dumps(record(Why("k", (reason,), NOW))))["reasons"] == [reason]


def test_the_head_says_since_when_and_which_attempt() -> None:
    assert said(Reason.NO_WORKER, attempt=2)[0].startswith(
        "send mail with key 'k' in shadows at redis://here is queued for attempt 2; it was added at 2031-"
    )
    assert said(Reason.NO_WORKER)[0].endswith(" (5m ago).")
    assert "is queued with high priority; it was added" in said(Reason.NO_WORKER, priority="high")[0]


def test_a_newer_format_asks_for_an_upgrade() -> None:
    assert "Update the workers: it comes back by itself" in said(Reason.NEWER)[1]


def test_a_name_is_fit_for_a_shell() -> None:
    assert "`shadows resume 'send mail'` lets it run again." in said(Reason.PAUSED, paused=("*", "send mail"))[1]


def test_before_more_than_were_counted_there_are_more() -> None:
    crew = Crew(1, 1, 10, 10)
    assert f"{MOST_COUNTED} executions or more wait before it." in said(Reason.BUSY, crew=crew, before=MOST_COUNTED)[1]
    assert "It is about to come back from where it was set aside." in said(Reason.SOON, crew=crew)[1]


def test_what_no_worker_has_taken_yet_is_not_parked() -> None:
    assert "parks it, unless that worker has a --fallback-task" in said(Reason.UNKNOWN, crew=Crew(1, 0, 10, 0))[1]


def test_those_who_have_places_are_named_as_far_as_they_are_known() -> None:
    gate = AtGate("mail", 7, 2, 5, 7, [Holder("a\nb", "anna"), Holder("c", None)])
    line = said(Reason.GATE, gate=gate)[1]
    assert "lets 7 executions run at a time; of 5 that wait there, 2 wait before it." in line
    assert r"held by 'a\nb' on worker anna, 'c', which is about to run, 5 more." in line
    assert "Nobody has a place there now." in said(Reason.GATE, gate=gate._replace(holders=[], taken=0))[1]


def test_what_runs_says_all_that_its_worker_told() -> None:
    running = {"state": ExecutionState.RUNNING, "worker": "anna", "redelivered": True}
    beat = BEAT._replace(node="web", slot=2)
    line = said(Reason.RUNNING, **running, beat=beat, progress=ExecutionProgress(2, None, None))[1]
    assert "It runs on worker anna (host web-1, pid 7, slot 2 of web) since " in line
    assert "It was handed to a worker before, which died, or left before the end. It says that it is at 2." in line
    line = said(Reason.LOST_WORKER, **running, progress=ExecutionProgress())[1]
    assert line.startswith("It runs on worker anna since ")
    assert "It says" not in line
    assert "But the last beat of that worker was at an unknown time, and its lease has ended" in line


def test_an_end_of_which_little_is_kept_is_told_of() -> None:
    assert "(5m ago): no reason is kept." in said(Reason.FAILED)[1]
    assert "(5m ago), on worker anna" not in said(Reason.COMPLETED)[1]
    assert said(Reason.COMPLETED, worker="anna")[1].endswith("(5m ago) on worker anna, at attempt 1.")
    assert said(Reason.CANCELLED, error="the task cancelled itself")[1].endswith("(5m ago): the task cancelled itself.")


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (ExecutionState.COMPLETED, "", "The one before it with this key completed at "),
        (ExecutionState.QUARANTINED, "", "The one before it with this key was quarantined at "),
        (ExecutionState.CANCELLED, "struck", "a strike held it back: `shadows restore` lifts one."),
    ],
)
def test_how_the_one_before_it_ended_is_the_last_line(state: ExecutionState, reason: str, words: str) -> None:
    assert words in said(Reason.NO_WORKER, earlier=Earlier(state, AGO, reason))[-1]


def test_of_a_daemon_the_slot_is_named(shadow: Shadow, tmp_path: Path) -> None:
    with Daemon(tmp_path, "--tasks", "shadows.tasks", "--workers", "1") as daemon:
        shadow.add("sleep", key="k")(60)
        wait_for(lambda: "slot 1 of node)" in output_of("why", "k"), "it runs in the slot")
        shadow.cancel("k")
        daemon.process.terminate()
        assert daemon.wait() == 0, daemon.output

"""What a worker's end means, from what is left of it."""

import os
from collections.abc import Iterator
from signal import SIGABRT, SIGKILL, SIGSEGV
from typing import Any

import pytest

from shadowsd.master.child import Child, Exit
from shadowsd.master.endings import Verdict, judge
from shadowsd.master.world import ABORT, DRAIN, KILL, STOP

LOOP = 'Current thread 0x1 (most recent call first):\n  File "/a/tasks.py", line 3 in {}\n  File "/x/serve.py", line 57 in serve\n'  # noqa: E501


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(1, 1, 1, False, 4)
    child.page.named("node-1#x")
    yield child
    child.gave()
    child.close()


def judged(child: Child, how: Exit, tasks: int = 0, oom: bool = False, **known: Any) -> Verdict:
    """The verdict on a child with so many tasks in flight, `f1` and so on."""
    for name, value in known.items():
        setattr(child, name, value)
    for n in range(1, tasks + 1):
        child.page.begin(str(n), f"f{n}", f"k{n}")
    return judge(child, how, oom, 3, 1.0)


@pytest.mark.parametrize(
    ("how", "tasks", "known", "death"),
    [
        (Exit(0, None), 0, {}, True),
        (Exit(0, None), 1, {}, True),
        (Exit(None, SIGSEGV), 1, {}, True),
        (Exit(0, None), 0, {"asked": DRAIN}, False),
        (Exit(0, None), 1, {"asked": DRAIN}, True),
        (Exit(1, None), 0, {"asked": DRAIN}, True),
        (Exit(None, SIGSEGV), 1, {"asked": DRAIN}, True),
        (Exit(0, None), 1, {"asked": STOP}, False),
        (Exit(None, SIGKILL), 1, {"asked": KILL}, False),
        (Exit(None, SIGKILL), 1, {"asked": KILL, "hung": True}, True),
        (Exit(None, SIGABRT), 1, {"asked": ABORT, "hung": True}, True),
        (Exit(0, None), 0, {"suspect": True}, False),
        (Exit(0, None), 1, {"suspect": True}, True),
        (Exit(1, None), 0, {"suspect": True}, True),
    ],
)
def test_an_end_is_a_death_unless_it_was_asked_for_and_orderly(
    child: Child, how: Exit, tasks: int, known: dict[str, Any], death: bool
) -> None:
    assert judged(child, how, tasks, **known).death is death


def test_what_was_in_flight_at_a_death_is_blamed_for_it(child: Child) -> None:
    loss = judged(child, Exit(None, SIGKILL), 2).loss
    assert loss is not None
    assert (loss.consumer, loss.slot) == ("node-1#x", 1)
    assert (loss.judgement.manner, loss.judgement.in_flight) == ("death", ("1", "2"))


def test_at_a_hang_only_the_task_that_stands_in_the_stack_is_blamed(child: Child) -> None:
    child.stacks.append(LOOP.format("f2").encode())
    loss = judged(child, Exit(None, SIGABRT), 3, asked=ABORT, why="it hung", hung=True).loss
    assert loss is not None
    assert loss.judgement.in_flight == ("2",)
    assert loss.judgement.cause == "it hung"


def test_who_was_told_to_hand_back_is_taken_over_without_any_blame(child: Child) -> None:
    loss = judged(child, Exit(0, None), asked=STOP).loss
    assert loss is not None
    assert (loss.judgement.manner, loss.judgement.in_flight) == ("end", ())


def test_nothing_is_taken_from_who_left_by_itself_or_was_never_known_to_redis(child: Child) -> None:
    assert judged(child, Exit(0, None), asked=DRAIN).loss is None
    child.page.named("")
    assert judged(child, Exit(None, SIGKILL), 1, asked="").loss is None


@pytest.mark.parametrize(
    ("how", "oom", "known", "cause"),
    [
        (Exit(None, SIGSEGV), False, {}, "killed by SIGSEGV"),
        (Exit(None, 40), False, {}, "killed by signal 40"),
        (Exit(3, None), True, {}, "exited with 3"),
        (Exit(None, SIGKILL), True, {}, "killed by SIGKILL when memory ran out"),
        (Exit(None, None), False, {}, "ended unseen"),
        (Exit(78, None), False, {"refused": "--x is wrong"}, "--x is wrong"),
        (
            Exit(None, SIGKILL),
            False,
            {"asked": KILL, "hung": True, "why": "the loop was blocked"},
            "the loop was blocked",
        ),
        (Exit(None, SIGKILL), False, {"asked": KILL, "why": "the master ends"}, "killed by SIGKILL"),
    ],
)
def test_a_cause_says_what_led_to_it(child: Child, how: Exit, oom: bool, known: dict[str, Any], cause: str) -> None:
    assert judged(child, how, 1, oom, **known).cause == cause


def test_stacks_that_were_asked_for_before_are_not_taken_for_last_words(child: Child) -> None:
    """After `shadowsd stacks`, `shadowsd status SLOT` showed them below whatever end came, even an orderly one."""
    assert judged(child, Exit(0, None), asked=DRAIN).ending.stack == ""
    os.write(child.given_stacks, LOOP.format("f1").encode())
    child.read_stacks()
    child.stacks_at -= 90
    stack = judged(child, Exit(0, None), asked=DRAIN).ending.stack
    assert stack.startswith("Its stacks, the last of them 90 s before its end:\nCurrent thread")

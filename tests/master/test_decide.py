"""What is to be done, from what is seen: each rule with values."""

from dataclasses import replace
from signal import SIGABRT, SIGKILL

import pytest

from shadowsd.master.decide import (
    ABORT_SECONDS,
    CANARY_SECONDS,
    CANARY_TASKS,
    STOP_BOOTING_SECONDS,
    STOP_SECONDS,
    decide,
)
from shadowsd.master.generation import Stage
from shadowsd.master.hangs import Kind, Silence
from shadowsd.master.page import Phase
from shadowsd.master.world import (
    ABORT,
    DRAIN,
    KILL,
    STOP,
    Ask,
    ChildSeen,
    Complete,
    Dump,
    Fail,
    GenerationSeen,
    KillZygote,
    Limits,
    Promote,
    Reload,
    Spawn,
    StartZygote,
    World,
)


def child(slot: int, number: int = 0, generation: int = 1, **seen: object) -> ChildSeen:
    """One that serves well, unless something else is said."""
    return replace(ChildSeen(number or slot, slot, generation, age=1.0), **seen)  # type: ignore[arg-type]


def world(*children: ChildSeen, workers: int = 3, **seen: object) -> World:
    """A node of three workers of the first generation."""
    return replace(World(workers, 1, {1: GenerationSeen(1)}, children), **seen)  # type: ignore[arg-type]


WHOLE = (child(1), child(2), child(3))
BOTH = {1: GenerationSeen(1), 2: GenerationSeen(2)}


def test_where_all_is_as_it_should_be_nothing_is_done() -> None:
    assert decide(world(*WHOLE)) == []


def test_empty_slots_are_filled_together() -> None:
    assert decide(world()) == [Spawn(1, 1), Spawn(2, 1), Spawn(3, 1)]
    assert decide(world(child(2))) == [Spawn(1, 1), Spawn(3, 1)]


def test_a_slot_that_is_on_its_way_is_not_filled_twice() -> None:
    for phase in (Phase.BOOTING, Phase.WAITING_FOR_REDIS):
        assert decide(world(child(1, phase=phase), child(2), child(3))) == []


def test_a_slot_that_waits_after_deaths_is_left_empty() -> None:
    assert decide(world(child(2), held=frozenset({1}))) == [Spawn(3, 1)]


def test_nothing_is_made_without_a_zygote_that_can_make_it() -> None:
    gone = {1: GenerationSeen(1, lives=False)}
    assert decide(world(generations=gone, suspects=1)) == [StartZygote(1)]
    soon = {1: GenerationSeen(1, lives=False, may_start=False)}
    assert decide(world(generations=soon)) == []
    assert decide(world(generations={1: GenerationSeen(1, Stage.IMPORTING)})) == []
    executes = {1: GenerationSeen(1, forks=False, lives=False)}
    assert decide(world(child(1), child(2), generations=executes)) == [Spawn(3, 1)]


def test_who_was_replaced_drains_only_when_its_successor_serves() -> None:
    old = child(1, 10, worn="it has done 100 tasks (--max-tasks)")
    assert decide(world(old, child(2), child(3))) == [Spawn(1, 1)]
    assert decide(world(old, child(1, 11, phase=Phase.BOOTING), child(2), child(3))) == []
    assert decide(world(old, child(1, 11), child(2), child(3))) == [Ask(10, DRAIN, old.worn)]


def test_worn_workers_are_replaced_one_at_a_time_whatever_their_slots() -> None:
    """The one of slot 1 was replaced beside another's replacement: only slots before one's own were looked at."""
    worn = tuple(child(slot, slot, worn="old") for slot in (1, 2, 3))
    assert decide(world(*worn)) == [Spawn(1, 1)]
    for slot in (1, 2, 3):
        assert decide(world(*worn, child(slot, 10, phase=Phase.BOOTING))) == []


def test_an_empty_slot_is_filled_beside_a_replacement() -> None:
    worn = (child(1, worn="old"), child(2, worn="old"))
    assert decide(world(*worn, child(1, 10, phase=Phase.BOOTING))) == [Spawn(3, 1)]


def test_slots_that_are_too_many_drain() -> None:
    assert decide(world(*WHOLE, workers=2)) == [Ask(3, DRAIN, "there are fewer workers now")]
    assert decide(world(*WHOLE[:2], child(3, asked=DRAIN), workers=2)) == []


def test_suspects_get_workers_of_their_own_for_half_the_slots_and_at_least_one() -> None:
    assert decide(world(*WHOLE, suspects=5)) == [Spawn(1, 1, suspect=True)]
    four = (*WHOLE, child(4))
    assert decide(world(*four, workers=4, suspects=5)) == [Spawn(1, 1, suspect=True), Spawn(2, 1, suspect=True)]
    assert decide(world(*four, workers=4, suspects=1)) == [Spawn(1, 1, suspect=True)]
    assert decide(world(child(1), workers=1, suspects=1)) == [Spawn(1, 1, suspect=True)]


def test_a_suspects_worker_is_neither_counted_nor_retired() -> None:
    alone = child(1, 10, suspect=True)
    assert decide(world(*WHOLE, alone, suspects=1)) == []
    assert decide(world(alone, child(2), child(3))) == [Spawn(1, 1)]


def test_a_reload_begins_with_one_canary_when_the_code_is_imported() -> None:
    importing = BOTH | {2: GenerationSeen(2, Stage.IMPORTING)}
    assert decide(world(*WHOLE, generations=importing, reload=Reload(2))) == []
    assert decide(world(*WHOLE, generations=BOTH, reload=Reload(2))) == [Spawn(1, 2)]


def test_a_canary_waits_for_a_zygote_that_died_after_its_imports() -> None:
    """It was asked of a zygote that was not there, which ended the master."""
    gone = BOTH | {2: GenerationSeen(2, lives=False)}
    assert decide(world(*WHOLE, generations=gone, reload=Reload(2))) == [StartZygote(2)]


@pytest.mark.parametrize(
    ("canary", "trusted"),
    [
        ({"phase": Phase.BOOTING, "ready_for": 0.0}, False),
        ({"ready_for": CANARY_SECONDS / 2, "done": CANARY_TASKS - 1}, False),
        ({"ready_for": CANARY_SECONDS / 2, "done": CANARY_TASKS}, True),
        ({"ready_for": CANARY_SECONDS, "done": 0}, True),
        ({"ready_for": CANARY_SECONDS, "asked": DRAIN}, False),
    ],
)
def test_a_canary_is_trusted_after_some_tasks_or_some_time(canary: dict[str, object], trusted: bool) -> None:
    seen = world(*WHOLE, child(1, 10, 2, **canary), generations=BOTH, reload=Reload(2))
    assert decide(seen) == ([Promote()] if trusted else [])


def test_a_reload_goes_slot_by_slot_and_never_below_the_number() -> None:
    rolling: dict[str, object] = {"target": 2, "generations": BOTH, "reload": Reload(2, rolling=True)}
    first = child(1, 10, 2)
    assert decide(world(*WHOLE, first, **rolling)) == [Spawn(2, 2), Ask(1, DRAIN, "it was replaced")]
    booting = child(2, 11, 2, phase=Phase.BOOTING)
    assert decide(world(*WHOLE[1:], first, booting, **rolling)) == []
    assert decide(world(*WHOLE[1:], first, child(2, 11, 2), **rolling)) == [
        Spawn(3, 2), Ask(2, DRAIN, "it was replaced"),
    ]  # fmt: skip
    new = (first, child(2, 11, 2), child(3, 12, 2))
    assert decide(world(*new, child(3, asked=DRAIN), **rolling)) == [Complete()]


def test_in_a_reload_old_workers_that_do_not_serve_yet_are_dropped() -> None:
    rolling: dict[str, object] = {"target": 2, "generations": BOTH, "reload": Reload(2, rolling=True)}
    late = child(2, phase=Phase.WAITING_FOR_REDIS)
    assert decide(world(child(1), late, child(3), child(1, 10, 2), **rolling)) == [
        Spawn(2, 2), Spawn(3, 2), Ask(1, DRAIN, "it was replaced"), Ask(2, STOP, "its generation is over"),
    ]  # fmt: skip


@pytest.mark.parametrize("rolling", [False, True])
def test_a_reload_that_failed_is_given_up(rolling: bool) -> None:
    seen = world(*WHOLE, generations=BOTH, reload=Reload(2, rolling, "broken"))
    assert decide(seen)[0] == Fail("broken")


def test_after_a_rollback_new_workers_serve_until_old_ones_do() -> None:
    mixed = (child(1, 10, 2), child(2), child(3))
    assert decide(world(*mixed)) == [Spawn(1, 1)]
    assert decide(world(*mixed, child(1, 11))) == [Ask(10, DRAIN, "it was replaced")]


def test_a_zygote_that_imports_for_too_long_is_aborted_and_then_killed() -> None:
    why = "importing took longer than --boot-timeout (60 s)"

    def importing(**seen: object) -> list[object]:
        zygote = replace(GenerationSeen(1, Stage.IMPORTING), **seen)  # type: ignore[arg-type]
        return list(decide(world(generations={1: zygote})))

    assert importing(since=59.0) == []
    assert importing(since=61.0) == [KillZygote(1, SIGABRT, why)]
    assert importing(since=61.0, killed=True) == []
    assert importing(since=61.0 + ABORT_SECONDS, killed=True) == [KillZygote(1, SIGKILL, why)]


def test_told_to_stop_everybody_drains_and_nobody_is_made() -> None:
    seen = world(*WHOLE, child(1, 10, suspect=True), stopping=DRAIN, suspects=3, workers=4)
    assert decide(seen) == [Ask(number, DRAIN, "the master stops") for number in (1, 2, 3, 10)]
    assert decide(world(child(1, asked=DRAIN), stopping=DRAIN)) == []
    assert decide(world(stopping=DRAIN)) == []


def test_told_to_stop_nobody_waits_for_who_has_not_begun() -> None:
    """A worker that imports hears nothing; a stop took as long as the drain timeout."""
    booting = child(1, phase=Phase.BOOTING)
    assert decide(world(booting, stopping=DRAIN)) == [Ask(1, STOP, "the master stops")]
    asked = replace(booting, asked=STOP, asked_for=STOP_BOOTING_SECONDS - 0.1)
    assert decide(world(asked, stopping=DRAIN)) == []
    asked = replace(asked, asked_for=STOP_BOOTING_SECONDS + 0.1)
    assert decide(world(asked, stopping=DRAIN)) == [Ask(1, KILL, "it had not begun yet")]


def test_told_to_stop_at_once_those_that_drain_hand_back() -> None:
    seen = world(child(1), child(2, asked=DRAIN), child(3, asked=STOP), child(4, asked=KILL), stopping=STOP)
    assert decide(seen) == [Ask(number, STOP, "the master was told to stop at once") for number in (1, 2)]


def test_who_does_not_end_is_asked_harder() -> None:
    def asked(what: str, seconds: float, **seen: object) -> list[object]:
        return list(decide(world(child(1, asked=what, asked_for=seconds, why="so"), **{"stopping": DRAIN} | seen)))

    assert asked(DRAIN, 24.0) == []
    assert asked(DRAIN, 26.0) == [Ask(1, STOP, "it did not finish within 25 s")]
    assert asked(STOP, STOP_SECONDS - 0.1) == []
    assert asked(STOP, STOP_SECONDS + 0.1) == [Ask(1, KILL, "it did not hand back within 4 s")]
    assert asked(ABORT, ABORT_SECONDS - 0.1) == []
    assert asked(ABORT, ABORT_SECONDS + 0.1) == [Ask(1, KILL, "so")]
    assert asked(KILL, 100.0) == []


def test_outside_of_a_stop_draining_takes_as_long_as_it_takes() -> None:
    draining = child(1, 10, asked=DRAIN, asked_for=9999.0)
    assert decide(world(*WHOLE, draining)) == []
    limited = Limits(reload_drain=60.0)
    assert decide(world(*WHOLE, draining, limits=limited)) == [Ask(10, STOP, "it did not finish within 60 s")]


def test_who_is_cut_off_from_redis_is_not_waited_for_once_nothing_runs_in_it() -> None:
    """It waited for ever for Redis to take an outcome, and its master kept its lease alive."""
    draining = child(1, 10, asked=DRAIN, asked_for=STOP_SECONDS + 1, cut_off=True)
    assert decide(world(*WHOLE, replace(draining, running=1))) == []
    assert decide(world(*WHOLE, replace(draining, asked_for=1.0))) == []
    assert decide(world(*WHOLE, draining)) == [Ask(10, STOP, "nothing runs in it, and it can't say so to Redis")]


def test_a_worker_that_boots_for_too_long_is_aborted() -> None:
    booting = child(1, phase=Phase.BOOTING, age=61.0)
    assert decide(world(booting, *WHOLE[1:])) == [Ask(1, ABORT, "it was not ready within --boot-timeout (60 s)")]
    assert decide(world(replace(booting, age=59.0), *WHOLE[1:])) == []
    patient = replace(booting, phase=Phase.WAITING_FOR_REDIS)
    assert decide(world(patient, *WHOLE[1:])) == []


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Kind.LOOP_BLOCKED, ABORT),
        (Kind.GIL_HELD, ABORT),
        (Kind.WAITS_FOR_DISK, ABORT),
        (Kind.STOPPED, KILL),
        (Kind.TRACED, None),
        (Kind.NONE, None),
    ],
)
def test_who_is_silent_for_too_long_is_ended_unless_a_debugger_holds_it(kind: Kind, what: str | None) -> None:
    silent = child(1, silence=Silence(kind, 301.0), dumped=True)
    expected = [Ask(1, what, f"{kind.value} for 301 s (--hang-timeout 300 s)")] if what else []
    assert decide(world(silent, *WHOLE[1:])) == expected
    assert decide(world(replace(silent, phase=Phase.BOOTING), *WHOLE[1:])) == []
    draining = replace(silent, asked=DRAIN)
    assert decide(world(draining, *WHOLE, stopping=DRAIN))[: len(expected)] == expected
    for asked in (ABORT, KILL):
        assert decide(world(replace(silent, number=9, asked=asked), *WHOLE)) == []


def test_stacks_are_written_once_long_before_the_end() -> None:
    silent = child(1, silence=Silence(Kind.LOOP_BLOCKED, 11.0))
    assert decide(world(silent, *WHOLE[1:])) == [Dump(1)]
    assert decide(world(replace(silent, dumped=True), *WHOLE[1:])) == []
    assert decide(world(replace(silent, silence=Silence(Kind.LOOP_BLOCKED, 9.0)), *WHOLE[1:])) == []
    assert decide(world(replace(silent, silence=Silence(Kind.STOPPED, 11.0)), *WHOLE[1:])) == []
    brief = Limits(hang=4.0)
    assert decide(world(replace(silent, silence=Silence(Kind.GIL_HELD, 3.0)), *WHOLE[1:], limits=brief)) == [Dump(1)]

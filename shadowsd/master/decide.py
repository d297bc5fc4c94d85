"""What is to be done now, from what is seen now: a pure function, so that every case can be tried with values.

It is level-triggered: it compares what should be with what is, and a step that was lost is found missing the next
time. Each slot should have one ready child of the target generation that is not worn out; whoever else is in the
slot drains as soon as it has. Reload, rollback, recycling and recovery are all this one rule.
"""

from collections.abc import Iterator
from signal import SIGABRT, SIGKILL

from .generation import Stage
from .hangs import Kind
from .page import Phase
from .world import (
    ABORT,
    DRAIN,
    KILL,
    STOP,
    Action,
    Ask,
    ChildSeen,
    Complete,
    Dump,
    Fail,
    KillZygote,
    Promote,
    Spawn,
    StartZygote,
    World,
)

# A new generation's first child is trusted once it has done so many tasks, or served so long, whichever is first.
CANARY_TASKS = 10
CANARY_SECONDS = 1.0
# Between SIGABRT, at which a child writes its stacks, and SIGKILL.
ABORT_SECONDS = 2.0
# Handing back takes milliseconds; without Redis it never succeeds, and the lease does the rest.
STOP_SECONDS = 4.0
# Who has not begun yet has nothing to hand back; but a forked child, which begins in milliseconds, ends by itself.
STOP_BOOTING_SECONDS = 0.5
# A child that is silent for so long has its stacks written to the log, long before it is ended for it.
WARN_SECONDS = 10.0


def decide(world: World) -> list[Action]:
    """The actions for now, in order."""
    actions: list[Action] = [*ends(world), *hangs(world)]
    if world.stopping:
        return [*actions, *stop(world)]
    return [*actions, *reload(world), *zygotes(world), *fill(world), *suspects(world), *retire(world)]


def stop(world: World) -> Iterator[Action]:
    """Everybody is to end, in the way that was asked for."""
    for child in world.children:
        if world.stopping == STOP and child.asked in ("", DRAIN):
            yield Ask(child.number, STOP, "the master was told to stop at once")
        elif not child.asked:
            # Who has not begun has nothing to finish, and can't hear that it is to, while it imports.
            yield Ask(child.number, STOP if child.phase is Phase.BOOTING else DRAIN, "the master stops")


def reload(world: World) -> Iterator[Action]:
    """The steps of a reload: imported, its canary well, all slots ready."""
    under_way = world.reload
    if under_way is None:
        return
    generation = world.generations[under_way.generation]
    if under_way.failure:
        yield Fail(under_way.failure)
    elif generation.stage is not Stage.READY:
        return
    elif not under_way.rolling:
        canary = next((child for child in world.children if child.generation == generation.number), None)
        if canary is None:
            if generation.spawns:
                yield Spawn(1, generation.number)
        elif canary.serves and (canary.done >= CANARY_TASKS or canary.ready_for >= CANARY_SECONDS):
            yield Promote()
    elif all(serving(world, slot) for slot in range(1, world.workers + 1)):
        yield Complete()


def zygotes(world: World) -> Iterator[Action]:
    """Zygotes that died are started again; those that import for too long are ended."""
    for generation in world.generations.values():
        if generation.lives and generation.stage is Stage.IMPORTING and generation.since > world.limits.boot:
            why = f"importing took longer than --boot-timeout ({world.limits.boot:g} s)"
            if not generation.killed:
                yield KillZygote(generation.number, SIGABRT, why)
            elif generation.since > world.limits.boot + ABORT_SECONDS:
                yield KillZygote(generation.number, SIGKILL, why)
        elif generation.wants_zygote and not generation.lives and generation.may_start:
            yield StartZygote(generation.number)


def serving(world: World, slot: int) -> ChildSeen | None:
    """The child that serves in a slot as it should."""
    return next((child for child in current(world, slot) if child.serves), None)


def current(world: World, slot: int) -> list[ChildSeen]:
    """The children of a slot that are, or will be, what it should have."""
    return [
        child
        for child in world.children
        if child.slot == slot and child.generation == world.target and not (child.suspect or child.asked or child.worn)
    ]


def fill(world: World) -> Iterator[Action]:
    """Empty slots at once, all together; replacements of what still serves one at a time."""
    if not world.generations[world.target].spawns:
        return
    slots = range(1, world.workers + 1)
    replacing = any(current(world, slot) and serving(world, slot) is None and occupied(world, slot) for slot in slots)
    for slot in slots:
        if not current(world, slot) and slot not in world.held:
            if not occupied(world, slot):
                yield Spawn(slot, world.target)
            elif not replacing:
                replacing = True
                yield Spawn(slot, world.target)


def occupied(world: World, slot: int) -> bool:
    """Whether somebody still serves in a slot, be it of an older generation, or worn out."""
    return any(child.slot == slot and child.serves and not child.suspect for child in world.children)


def suspects(world: World) -> Iterator[Action]:
    """One fresh child for each suspect, at most half as many as there are slots, and at least one."""
    if not world.generations[world.target].spawns:
        return
    most = max(1, world.workers // 2)
    taken = {child.slot for child in world.children if child.suspect}
    for slot in range(1, most + 1):
        if slot not in taken and len(taken) < world.suspects:
            taken.add(slot)
            yield Spawn(slot, world.target, suspect=True)


def retire(world: World) -> Iterator[Action]:
    """Whoever a slot does not need drains: what was replaced, what is one too many, and slots that are gone."""
    under_way = world.reload
    for child in world.children:
        if child.suspect or child.asked:
            continue
        if under_way and not under_way.rolling and child.generation == under_way.generation:
            continue  # the canary, which serves beside its slot's own child
        if child.slot > world.workers:
            yield Ask(child.number, DRAIN, "there are fewer workers now")
        elif (successor := serving(world, child.slot)) is not None and successor.number != child.number:
            yield Ask(child.number, DRAIN, child.worn or "it was replaced")
        elif child.generation != world.target and child.phase is not Phase.READY:
            yield Ask(child.number, STOP, "its generation is over")


def ends(world: World) -> Iterator[Action]:
    """Whoever was asked to end and does not, is asked harder."""
    limits = world.limits
    for child in world.children:
        allowed = limits.drain if world.stopping else limits.reload_drain
        if child.asked == DRAIN and allowed is not None and child.asked_for > allowed:
            yield Ask(child.number, STOP, f"it did not finish within {allowed:g} s")
        elif child.asked == DRAIN and child.cut_off and not child.running and child.asked_for > STOP_SECONDS:
            # It would wait for ever for Redis to take what became of its tasks; they run again elsewhere.
            yield Ask(child.number, STOP, "nothing runs in it, and it can't say so to Redis")
        elif child.asked == STOP and child.phase is Phase.BOOTING and child.asked_for > STOP_BOOTING_SECONDS:
            yield Ask(child.number, KILL, "it had not begun yet")
        elif child.asked == STOP and child.asked_for > STOP_SECONDS:
            yield Ask(child.number, KILL, f"it did not hand back within {STOP_SECONDS:g} s")
        elif child.asked == ABORT and child.asked_for > ABORT_SECONDS:
            yield Ask(child.number, KILL, child.why)
        elif not child.asked and child.phase is Phase.BOOTING and child.age > limits.boot:
            yield Ask(child.number, ABORT, f"it was not ready within --boot-timeout ({limits.boot:g} s)")


def hangs(world: World) -> Iterator[Action]:
    """Whoever is silent has its stacks written, and is ended when the silence lasts; a traced one is left alone."""
    for child in world.children:
        kind, seconds = child.silence
        if kind is Kind.NONE or kind is Kind.TRACED or child.phase is Phase.BOOTING or child.asked in (ABORT, KILL):
            continue
        if seconds > world.limits.hang:
            why = f"{kind.value} for {seconds:.0f} s (--hang-timeout {world.limits.hang:g} s)"
            # A stopped process can't write its stacks: it takes nothing but SIGKILL.
            yield Ask(child.number, KILL if kind is Kind.STOPPED else ABORT, why)
        elif seconds > min(WARN_SECONDS, world.limits.hang / 2) and not child.dumped and kind is not Kind.STOPPED:
            yield Dump(child.number)

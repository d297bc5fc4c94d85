"""When may a slot be filled again, and when is a crash loop one: decisions from lists of deaths."""

from collections.abc import Callable, Sequence

# The first unasked death of a slot in a minute is replaced at once; from the second on it waits. [semantics 15]
WINDOW_SECONDS = 60.0
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0
# A child that has served for so long has shown that its slot works.
HEALTHY_SECONDS = 10.0
# So many deaths a slot within the window, and no healthy child, are a crash loop.
LOOP_DEATHS = 3


def pause(deaths: Sequence[float], random: Callable[[], float]) -> float:
    """Seconds to wait before a slot is filled again. `deaths` are its unasked ones that still count (see `counting`).

    Full jitter, so that many slots, or many machines, don't come back in step."""
    if len(deaths) < 2:
        return 0.0
    return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(len(deaths) - 2, 20)) * random()


def counting(deaths: Sequence[float], now: float, longest_pause: float = LONGEST_SECONDS) -> list[float]:
    """Those of a slot's deaths that still count: each within a minute, beyond the pause itself, of the next."""
    kept: list[float] = []
    after = now
    for death in reversed(deaths):
        if after - death > WINDOW_SECONDS + longest_pause:
            break
        kept.append(death)
        after = death
    return kept[::-1]


def loops(deaths: Sequence[float], now: float, slots: int, healthy: int) -> bool:
    """Whether the node is in a crash loop: `deaths` are the unasked ones of all its slots, `healthy` is how many of
    its children have served long enough to be trusted."""
    recent = sum(1 for death in deaths if now - death <= WINDOW_SECONDS)
    return healthy == 0 and recent >= LOOP_DEATHS * slots

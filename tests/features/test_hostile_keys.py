"""Any string is a key, and no key touches another: not one that looks like ours, nor one that looks like yours."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shadows import ExecutionCancelled, Shadow

from .workers import finish

HOSTILE = [
    "", "stream", "schedule", "task:", "task:stream", "generation", "strikes", "cancel 1-0", "k", "K",
    "}", "{", "{x}", "{}:stream", ":", "*", "%s", "#1", "'", '"',
    "\0", "a\0b", "\n", "a\nb", "\r\n", " ", "ключ", "鍵", "🗝️", "é", "e\u0301", "x" * 10_240,
]  # fmt: skip


async def echo(key: str) -> str:
    return key


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: ascii(key)[:20])
async def test_a_hostile_key_lives_a_whole_life(shadows: Shadow, key: str) -> None:
    """Added, found, cancelled, added again, replaced, run, and asked for its result."""
    assert (await shadows.add(echo, key=key)(key)).disposition == "scheduled"
    assert (await shadows.add(echo, key=key)("another")).disposition == "already_scheduled"
    found = await shadows.get_execution(key)
    assert found is not None
    assert (found.key, found.args) == (key, (key,))
    assert [row.key for row in (await shadows.snapshot()).queued] == [key]
    assert await shadows.cancel(key)
    await shadows.add(echo, when=timedelta(hours=1), key=key)(key)
    assert [row.key for row in (await shadows.snapshot()).scheduled] == [key]
    execution = await shadows.replace(echo, None, key)(key)
    await finish(shadows)
    assert await execution.get_result() == key


keys = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), min_size=2, max_size=8, unique=True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=keys)
@example(keys=HOSTILE)
async def test_no_key_touches_another(shadows: Shadow, keys: list[str]) -> None:
    """Each key gets one of all calls, side by side; each of them must see only its own."""
    await shadows.clear()
    kinds = ["run", "cancel", "later", "replace", "twice"]
    plan = {key: kinds[n % len(kinds)] for n, key in enumerate(keys)}
    executions = {}
    for key, kind in plan.items():
        when = timedelta(hours=1) if kind in ("later", "cancel") else None
        executions[key] = await shadows.add(echo, when=when, key=key)(key)
        assert executions[key].disposition == "scheduled", (key, plan)
    for key, kind in plan.items():
        if kind == "cancel":
            assert await shadows.cancel(key)
        elif kind == "replace":
            executions[key] = await shadows.replace(echo, None, key)(key + "!")
        elif kind == "twice":
            assert (await shadows.add(echo, key=key)("never")).disposition == "already_scheduled"
    later = [key for key, kind in plan.items() if kind == "later"]
    snapshot = await shadows.snapshot()
    assert sorted(row.key for row in snapshot.scheduled) == sorted(later)
    for key in later:
        await shadows.replace(echo, None, key)(key)
    await finish(shadows)
    for key, kind in plan.items():
        if kind == "cancel":
            with pytest.raises(ExecutionCancelled, match="cancelled"):
                await executions[key].get_result()
        elif kind == "later":
            with pytest.raises(ExecutionCancelled, match="replaced"):
                await executions[key].get_result()
        else:
            assert await executions[key].get_result() == (key + "!" if kind == "replace" else key)

"""Any text is a key, and no key touches another: not one that looks like ours, nor one that looks like yours."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shadows import Disposition, ExecutionCancelled, Shadow
from shadows.errors import ArgumentsError
from shadows.sync import Shadow as SyncShadow
from tests.proxy import Proxy

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


REFUSED = [
    ("\ud800", r"The key '\\ud800' is no text: .* Expected what UTF-8 can encode"),
    ("name\udcff", r"The key 'name\\udcff' is no text"),
    (b"key", r"The key b'key' is a bytes; expected a str\. Decode it"),
    (5, "The key 5 is a int; expected a str"),
]


@pytest.mark.parametrize(("key", "message"), REFUSED)
async def test_what_is_no_text_is_refused_by_every_call_and_nothing_is_sent(
    shadows: Shadow, proxy: Proxy, key: Any, message: str
) -> None:
    """A file name that was read with surrogateescape was refused by `add`, and was a UnicodeEncodeError of the
    connection for `cancel` and `get_execution`, which closed it under those who waited for it."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await through.add(echo, key="fine")("fine")
        proxy.reset_counts()
        for call in (
            through.add(echo, key=key)("x"),
            through.replace(echo, None, key)("x"),
            through.cancel(key),
            through.get_execution(key),
        ):
            with pytest.raises(ArgumentsError, match=message):
                await call
        assert proxy.commands.total() == 0
        for many in (through.add_many, through.replace_many):
            bad, good = await many([through.call(echo, key=key)("x"), through.call(echo, key="good")("x")])
            assert (bad.disposition, type(bad.schedule_exception)) == (Disposition.FAILED, ArgumentsError)
            assert good.schedule_exception is None
            with pytest.raises(ArgumentsError, match=message):
                await bad.sync()


@pytest.mark.parametrize(("key", "message"), REFUSED)
def test_threads_and_scripts_get_the_same_error(shadows_url: str, key: Any, message: str) -> None:
    """They share the loop of one client: what is wrong with one call must stay its own."""
    with SyncShadow(url=shadows_url) as shadows:
        for call in (
            lambda: shadows.add(echo, key=key)("x"),
            lambda: shadows.replace(echo, None, key)("x"),
            lambda: shadows.cancel(key),
            lambda: shadows.get_execution(key),
        ):
            with pytest.raises(ArgumentsError, match=message):
                call()

"""`testing.CollectingShadow`: a shadow without Redis that keeps what is added to it."""

from datetime import timedelta

import pytest

from shadows import testing
from shadows.errors import ArgumentsError, ShadowsError


async def greet(user: int) -> None:
    """Nothing is to be seen of it."""


async def test_a_collecting_shadow_follows_the_rules_of_keys() -> None:
    async with testing.CollectingShadow() as shadow:
        first = await shadow.add(greet, key="a")(1)
        again = await shadow.add(greet, key="a")(2)
        assert (again.disposition, again.submission) == ("already_scheduled", first.submission)
        await shadow.replace(greet, timedelta(days=1), "a")(3)
        await testing.assert_task_count(shadow, count=1)
        assert [each.state for each in shadow.added] == ["cancelled", "scheduled"]
        assert await shadow.cancel("a")
        assert not await shadow.cancel("a")
        twice = await shadow.add_many([shadow.call(greet, key="b")(number) for number in (1, 2)])
        assert [each.disposition for each in twice] == ["scheduled", "already_scheduled"]
        await twice[0].sync()
        assert await shadow.clear() == 1
        await testing.assert_no_tasks(shadow)
        with pytest.raises(ArgumentsError):
            await shadow.add(greet)("no number")


async def test_a_collecting_shadow_says_what_it_can_not_do() -> None:
    shadow = testing.CollectingShadow()
    with pytest.raises(ShadowsError, match="has no Redis, and was asked for something that only Redis knows"):
        await shadow.workers()
    with pytest.raises(ShadowsError, match="fixture `shadows`"):
        async with shadow.redis():
            pass

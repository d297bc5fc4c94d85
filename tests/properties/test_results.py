"""Who waits for a result gets the one of the submission that it has, or is told that there is none: never another's.

However slow the answers are, and whichever of them get lost, it comes to an end.
"""

import asyncio
import os
import random
from collections.abc import Callable
from datetime import timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shadows import Execution, ExecutionCancelled, Retry, Shadow
from shadows.errors import ResultNotKept
from tests.faults.conftest import brief_shadow
from tests.features.workers import working
from tests.proxy import Proxy

HUNT = int(os.environ.get("SHADOWS_HUNT", "0"))
NEVER_SECONDS = 30

# Longer than a call takes, and shorter than the 5 s after which a call that can't reach Redis raises.
delays = st.floats(0, 0.03)
keys = st.sampled_from("ab")
operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), keys),
        st.tuples(st.just("replace"), keys),
        st.tuples(st.just("cancel"), keys),
        st.tuples(st.just("fail"), keys),
        st.tuples(st.just("delay"), delays),
        st.tuples(st.just("pause"), delays),
        st.tuples(st.just("lose"), st.sampled_from(["EVALSHA", "SUBSCRIBE", "UNSUBSCRIBE"])),
        st.tuples(st.just("cut"), st.none()),
    ),
    min_size=2,
    max_size=25,
)


async def answer(number: int, seconds: float, retry: Retry = Retry(attempts=2)) -> int:
    """Each submission has a number of its own; every third one needs a second attempt."""
    await asyncio.sleep(seconds)
    if number % 3 == 0 and retry.attempt == 1:
        raise OSError(number)
    return number


async def refuse(number: int) -> None:
    raise ValueError(number)


class Client:
    """Does what it is told through a bad network, and waits for all that it has submitted."""

    def __init__(self, shadow: Shadow, proxy: Proxy, seed: int) -> None:
        self.shadow = shadow
        self.proxy = proxy
        self.random = random.Random(seed)
        self.number = 0
        self.latest: dict[str, int] = {}
        # Those that were cancelled, or whose key was used again.
        self.disturbed: set[int] = set()
        # Those of which it was said that they have no outcome to give.
        self.told_of_none: set[int] = set()
        self.waiting: list[asyncio.Task[None]] = []

    async def do(self, operation: str, detail: object) -> None:
        if operation == "delay":
            assert isinstance(detail, float)
            self.proxy.delay(detail)
        elif operation == "pause":
            assert isinstance(detail, float)
            await asyncio.sleep(detail)
        elif operation == "lose":
            self.proxy.lose_replies(str(detail), skip=self.random.randrange(3))
        elif operation == "cut":
            self.proxy.cut()
        elif operation == "cancel":
            self.disturb(str(detail))
            await self.shadow.cancel(str(detail))
        else:
            await self.submit(operation, str(detail))

    def disturb(self, key: str) -> None:
        if key in self.latest:
            self.disturbed.add(self.latest[key])

    async def submit(self, operation: str, key: str) -> None:
        self.number += 1
        number = self.number
        if operation == "replace":
            self.disturb(key)
        if operation == "fail":
            execution = await self.shadow.add(refuse, key=key)(number)
        else:
            submit: Callable[..., Callable[..., object]] = (
                self.shadow.add if operation == "add" else self.shadow.replace
            )
            execution = await submit(answer, None, key)(number, self.random.random() * 0.02)  # type: ignore[misc]
        if execution.disposition == "scheduled":
            self.disturb(key)
            self.latest[key] = number
            for _ in range(self.random.randrange(1, 3)):
                self.waiting.append(asyncio.create_task(self.check(execution, number, operation == "fail")))

    async def check(self, execution: Execution, number: int, fails: bool) -> None:
        await asyncio.sleep(self.random.random() * 0.02)
        try:
            result: object = await execution.get_result()
        except (ExecutionCancelled, ResultNotKept):
            # Only at the end: another one may have taken its place, and whoever submitted that not know it yet.
            self.told_of_none.add(number)
            return
        except ValueError as error:
            result = error.args[0]
            assert fails
        assert result == number


@settings(
    max_examples=HUNT or 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(operations=operations, seed=st.integers(0, 1 << 16))
async def test_who_waits_comes_to_an_end_and_gets_no_others_result(
    shadows_url: str, operations: list[tuple[str, object]], seed: int
) -> None:
    with Proxy(shadows_url) as proxy:
        async with (
            brief_shadow(shadows_url) as near,
            Shadow(near.name, proxy.url, timedelta(milliseconds=60), 8) as far,
        ):
            near.register(answer)
            near.register(refuse)
            client = Client(far, proxy, seed)
            async with working(near), asyncio.timeout(NEVER_SECONDS):
                for operation, detail in operations:
                    await client.do(operation, detail)
                await asyncio.gather(*client.waiting)
                assert client.told_of_none <= client.disturbed
            proxy.delay(0)

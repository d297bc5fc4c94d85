"""`Once` where it can't work: outside of a run, with settings that say nothing, in a shared value."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shadows import Once, Shadow, Shared
from shadows.errors import RegistrationError


async def test_called_by_yourself_a_task_just_takes_its_steps() -> None:
    """In a unit test there is no worker, and no ledger."""

    async def pay(order: str, once: Once = Once()) -> str:
        return await once("charge", str.upper, order)

    def ship(order: str, once: Once = Once()) -> str:
        return once.call("ship", str.upper, order)

    assert [await pay("a"), ship("b")] == ["A", "B"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Once(scope=""), "is no name; pass one without a colon"),
        (lambda: Once(scope="a:b"), "scope='a:b'"),
        (lambda: Once(scope="a", ttl=timedelta(0)), "would keep nothing"),
    ],
)
def test_a_setting_that_can_not_work_is_refused(make: Callable[[], Once], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


async def test_a_shared_value_has_no_steps(shadows: Shadow) -> None:
    """It outlives the task whose steps they would be."""

    def load(once: Once = Once()) -> None: ...

    async def pay(loaded: None = Shared(load)) -> None: ...

    with pytest.raises(RegistrationError, match="is a Once"):
        shadows.register(pay)

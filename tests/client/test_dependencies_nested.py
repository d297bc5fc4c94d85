"""Factories that depend on each other, once, twice, or in a circle."""

from typing import Annotated

import pytest

from shadows.dependencies import (
    Depends,
)
from shadows.dependencies.validation import validate
from shadows.errors import RegistrationError


def number() -> int:
    return 1


def egg(hen: "Annotated[int, Depends(chicken)]") -> int:
    return hen


def chicken(egg: "Annotated[int, Depends(egg)]") -> int:
    return egg


def test_a_factory_that_depends_on_itself_is_refused() -> None:
    async def task(value: int = Depends(egg)) -> None: ...

    with pytest.raises(RegistrationError, match=r"Depends\(egg\), which depends on itself"):
        validate(task, "a_task")


def test_a_task_may_depend_on_one_factory_twice() -> None:
    async def task(a: int = Depends(number), b: int = Depends(number)) -> None: ...

    validate(task, "a_task")

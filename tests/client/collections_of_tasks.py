"""A module of tasks for tests/client/test_registry.py, with some members that are none."""


async def first() -> None: ...


def second() -> None: ...


tasks = [first, second]
number = 5
text = "first"
empty: list[object] = []

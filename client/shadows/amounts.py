"""A number and its noun, as sentences in logs and tables have them."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 task`, `2 tasks`; where a verb follows, or the plural is no `s`, `many` has the words for all but one."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"

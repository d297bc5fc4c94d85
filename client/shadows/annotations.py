"""Marks for parameters of tasks: which arguments may appear in logs, and how they are written there."""

from collections.abc import Iterable, Mapping
from typing import Any

# A log line is read by people and stored by machines that charge for it; longer arguments are cut here.
LONGEST_ARGUMENT = 200


class Logged:
    """Says that logs may show the argument: `customer: Annotated[int, Logged]`.

    Arguments without it never appear in logs. `Logged(length_only=True)` shows only how many items the
    argument has.
    """

    __slots__ = ("length_only",)

    def __init__(self, length_only: bool = False) -> None:
        self.length_only = length_only

    def __repr__(self) -> str:
        return f"Logged(length_only={self.length_only})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Logged) and other.length_only == self.length_only

    def __hash__(self) -> int:
        return hash((Logged, self.length_only))

    def format(self, argument: object) -> str:
        """The argument as a log line shows it; never raises, whatever the argument's own `repr` does."""
        try:
            if not self.length_only:
                return shortened(repr(argument))
            length = len(argument)  # type: ignore[arg-type]  # what has no length is caught below
        except BaseException as error:  # `sys.exit()` in a repr must not end a worker
            return f"<{type(argument).__name__}: {type(error).__name__}>"
        return f"{{len {length}}}" if isinstance(argument, dict | set | frozenset) else f"[len {length}]"


def shortened(text: str, longest: int = LONGEST_ARGUMENT) -> str:
    """`text` on one line, with its middle left out where it is too long."""
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    if len(text) <= longest:
        return text
    return f"{text[: longest * 3 // 4]}...{text[-longest // 4 :]}"


def format_arguments(arguments: Iterable[tuple[str, Any]], logged: Mapping[str, Logged]) -> str:
    """The arguments of a call for a log line: logged ones by value, all others as `name=...`."""
    return ", ".join(
        f"{name}={logged[name].format(argument)}" if name in logged else f"{name}=..." for name, argument in arguments
    )

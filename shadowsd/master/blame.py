"""Who is to blame for a child's end: values in, the generations whose deaths count out. [semantics 14]"""

import re
from collections.abc import Sequence

from .page import InFlight

FRAME = re.compile(r'File "[^"]*", line \d+ in (\S+)')


def blamed(in_flight: Sequence[InFlight], stack: str, *, hung: bool) -> tuple[str, ...]:
    """At a death, everybody who was in flight. At a hang, the tasks whose functions stand in the child's stack:
    the others only had the bad luck to share its loop; all, when the stack names none of them."""
    everybody = tuple(task.generation for task in in_flight)
    if not hung:
        return everybody
    named = set(FRAME.findall(stack))
    guilty = tuple(task.generation for task in in_flight if task.function.rpartition(".")[2] in named)
    return guilty or everybody


def line_of(stack: str, skipped: Sequence[str]) -> str:
    """The innermost line of a stack that is the user's: not of ours, nor of the interpreter's libraries."""
    for match in re.finditer(r'File "([^"]*)", line (\d+) in (\S+)', stack):
        file, number, function = match.groups()
        if not any(part in file for part in skipped):
            return f"{file}:{number} in {function}"
    return ""

"""Who is to blame for a child's end: values in, the generations whose deaths count out. [semantics 14]"""

import re
from collections.abc import Sequence

from .page import NAME_SIZE, InFlight

FRAME = re.compile(r'File "([^"]*)", line (\d+) in (\S+)')
# Every child's loop runs below this function of ours (serve.py).
LOOP_FRAME = ("serve.py", "serve")


def blamed(in_flight: Sequence[InFlight], stack: str, *, hung: bool) -> tuple[str, ...]:
    """At a death, everybody who was in flight. At a hang, the tasks whose functions stand in the stack of the child's
    loop: the others only had the bad luck to share it; all, when it names none of them."""
    everybody = tuple(task.generation for task in in_flight)
    if not hung:
        return everybody
    named = {function for _, _, function in frames_of_loop(stack)}
    guilty = tuple(task.generation for task in in_flight if stands_in(named, task.function))
    return guilty or everybody


def stands_in(named: set[str], function: str) -> bool:
    """Whether a function of the page is among the names of a stack; the page cuts long ones."""
    name = function.rpartition(".")[2]
    if len(function.encode()) < NAME_SIZE - 3:  # a letter that did not fit whole is replaced
        return name in named
    return any(each.startswith(name.rstrip("\N{REPLACEMENT CHARACTER}")) for each in named)


def line_of(stack: str, skipped: Sequence[str]) -> str:
    """The innermost line of the loop's stack that is the user's: none of ours, nor of the interpreter's libraries."""
    for file, number, function in frames_of_loop(stack):
        if not file.startswith(tuple(skipped)):
            return f"{file}:{number} in {function}"
    return ""


def frames_of_loop(stack: str) -> list[tuple[str, str, str]]:
    """File, line and function of each frame of the thread that runs the loop, innermost first, from the last dump."""
    for thread in reversed(stack.split("\n\n")):
        frames: list[tuple[str, str, str]] = FRAME.findall(thread)
        if any((file.rpartition("/")[2], function) == LOOP_FRAME for file, _, function in frames):
            return frames
    return []

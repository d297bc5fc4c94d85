"""What a forked copy of the process must not use: connections and unfinished calls belong to the original.

A copy that went on with them would talk into its parent's sockets, and take the answers to its parent's adds
for the answers to its own: they would be lost without a word.
"""

import os
from typing import Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """Something that can begin anew in a copy."""

    def forget(self) -> None:
        """Called in the copy, before anything else runs there."""


_living: WeakSet[Forgetful] = WeakSet()
# Never collected in the copy: what their destructors close would be gone from the parent's event loop, too.
_inherited: list[object] = []


def forget_in_copies(thing: Forgetful) -> None:
    """Has `thing` begin anew in every forked copy of this process."""
    _living.add(thing)


def leave_to_parent(*things: object) -> None:
    """Keeps what a copy inherited and must not touch."""
    _inherited.extend(things)


def _begin_anew() -> None:
    for thing in tuple(_living):
        thing.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

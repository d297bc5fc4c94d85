"""Orphans of children, which a subreaper adopts: their ends are collected, and no other is stolen."""

import os
from collections.abc import Container

from .child import Exit, exit_of


def reap_orphans(known: Container[int]) -> dict[int, Exit]:
    """Collects every ended process that is not `known`; those have somebody who waits for them by pidfd."""
    found: dict[int, Exit] = {}
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return found
        if ended is None or ended.si_pid in known:
            return found  # a known one hides what is behind it until the next pass
        collected = os.waitid(os.P_PID, ended.si_pid, os.WEXITED | os.WNOHANG)
        if collected is not None:
            found[ended.si_pid] = exit_of(collected)

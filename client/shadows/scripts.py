"""The Lua scripts, by name: every move of an execution between two places is one of them."""

from functools import cached_property
from hashlib import sha1
from pathlib import Path

LUA = Path(__file__).with_name("lua")


class Script:
    """One script."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def source(self) -> bytes:
        """The text, read when the script is first used."""
        return (LUA / f"{self.name}.lua").read_bytes()

    @cached_property
    def digest(self) -> str:
        """The name that Redis knows it by."""
        return sha1(self.source, usedforsecurity=False).hexdigest()


SUBMIT = Script("submit")
CANCEL = Script("cancel")
CLEAR = Script("clear")
READ = Script("read")
FUNCTIONS = Script("functions")
STRIKE = Script("strike")
PROGRESS = Script("progress")
PROMOTE = Script("promote")
SETTLE = Script("settle")
CLAIM = Script("claim")
TAKEOVER = Script("takeover")
PARK = Script("park")
UNPARK = Script("unpark")
QUARANTINE = Script("quarantine")
REQUEUE = Script("requeue")
FINISHED = Script("finished")
UNFINISHED = Script("unfinished")
DEAD = Script("dead")
DEPTHS = Script("depths")
BEAT = Script("beat")
LEAVE = Script("leave")
RENEW = Script("renew")
WATCH = Script("watch")
STEP = Script("step")
SCOPED = Script("scoped")
ADMIT = Script("admit")
OPEN = Script("open")
FORWARD = Script("forward")
WALK = Script("walk")

"""The Lua scripts, by name: every move of an execution between two places is one of them."""

from hashlib import sha1
from pathlib import Path

LUA = Path(__file__).with_name("lua")


class Script:
    """One script: its source, and the digest that Redis knows it by."""

    __slots__ = ("digest", "name", "source")

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = (LUA / f"{name}.lua").read_bytes()
        self.digest = sha1(self.source, usedforsecurity=False).hexdigest()


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
DEAD = Script("dead")
BEAT = Script("beat")
LEAVE = Script("leave")

"""What a decision rests on, and what it can ask for: plain values, so that every case can be written down."""

from dataclasses import dataclass
from signal import Signals

from .generation import Stage
from .hangs import QUIET, Silence
from .page import Phase

DRAIN, STOP, ABORT, KILL = "drain", "stop", "abort", "kill"


@dataclass(frozen=True, slots=True)
class ChildSeen:
    """One child; durations in seconds. `asked` is what it was last asked, if it is to end."""

    number: int
    slot: int
    generation: int
    phase: Phase = Phase.READY
    suspect: bool = False
    age: float = 100.0
    ready_for: float = 100.0
    done: int = 0
    asked: str = ""
    asked_for: float = 0.0
    why: str = ""
    worn: str = ""
    silence: Silence = QUIET
    dumped: bool = False
    running: int = 0
    cut_off: bool = False

    @property
    def serves(self) -> bool:
        """Whether it takes tasks, and is meant to."""
        return self.phase is Phase.READY and not self.asked


@dataclass(frozen=True, slots=True)
class GenerationSeen:
    """One generation. `lives` tells of its zygote; `may_start` is False while its backoff lasts."""

    number: int
    stage: Stage = Stage.READY
    forks: bool = True
    lives: bool = True
    may_start: bool = True
    since: float = 0.0
    killed: bool = False

    @property
    def spawns(self) -> bool:
        """Whether it can make children now."""
        return self.stage is Stage.READY and (self.lives or not self.forks)

    @property
    def wants_zygote(self) -> bool:
        """Whether it is of no use without a zygote."""
        return self.stage is Stage.IMPORTING or (self.forks and self.stage is Stage.READY)


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload under way: to which generation, whether it serves already, and what went wrong, if anything."""

    generation: int
    rolling: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts in seconds; None is none."""

    drain: float = 25.0
    reload_drain: float | None = None
    boot: float = 60.0
    hang: float = 300.0


@dataclass(frozen=True, slots=True)
class World:
    """All that the decision rests on."""

    workers: int
    target: int
    generations: dict[int, GenerationSeen]
    children: tuple[ChildSeen, ...] = ()
    reload: Reload | None = None
    held: frozenset[int] = frozenset()
    suspects: int = 0
    stopping: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Spawn:
    """Make a child."""

    slot: int
    generation: int
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a child to end: `drain`, `stop`, or by force `abort` and `kill`."""

    number: int
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Dump:
    """Have a child write its stacks."""

    number: int


@dataclass(frozen=True, slots=True)
class StartZygote:
    """Start a generation's zygote again."""

    generation: int


@dataclass(frozen=True, slots=True)
class KillZygote:
    """End a zygote that does not come to an end by itself."""

    generation: int
    signal: Signals
    why: str


@dataclass(frozen=True, slots=True)
class Promote:
    """The canary is well: the new generation is the target from now on."""


@dataclass(frozen=True, slots=True)
class Complete:
    """The new generation serves whole."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The reload failed; the generation before it is the target again."""

    why: str


type Action = Spawn | Ask | Dump | StartZygote | KillZygote | Promote | Complete | Fail

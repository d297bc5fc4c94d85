"""What workers write of themselves for others to read: who they are, and which functions they know."""

import msgspec

from .priorities import PRIORITIES


class Told(msgspec.Struct):
    """What a beat tells of its worker; a newer release may say more."""

    at: float = 0
    host: str = "?"
    pid: int = 0
    concurrency: int = 0
    running: int = 0
    done: int = 0
    kind: str = "worker"
    node: str = ""
    slot: int = 0
    generation: int = 0
    version: str = ""
    # Only a worker for some of them tells which.
    priorities: tuple[str, ...] = tuple(PRIORITIES)


def read(beat: bytes, functions: bytes) -> tuple[Told, tuple[str, ...]]:
    """A worker's beat and the names that it knows; what can't be read is left out."""
    return decoded(beat, Told) or Told(), decoded(functions, tuple[str, ...]) or ()


def decoded[T](body: bytes, kind: type[T]) -> T | None:
    """What a worker wrote; None when it is damaged, or a newer release writes it otherwise."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.MsgspecError:
        return None

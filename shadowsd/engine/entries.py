"""An entry of a work stream: one delivery of one execution."""

from datetime import datetime

import msgspec

from shadows.keys import SUSPECTS
from shadows.priorities import Priority, priority_of
from shadows.records import moment

# The limits at which an entry waited, each with its number then: their places came with it.
type Held = tuple[tuple[str, int], ...]
# What a worker is handed: the generation, the fields of the entry, its place, how often it was delivered.
type Rows = list[tuple[str, list[bytes], int, int]]

HELD = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...])


class Entry:
    """What a worker was handed: where it lies, what it asks for, and how often it was handed out before."""

    __slots__ = (
        "attempt", "consumer", "deliveries", "due", "function", "generation", "key", "payload", "place", "places",
        "priority", "submission",
    )  # fmt: skip

    def __init__(self, place: int, generation: str, fields: list[bytes], deliveries: int, consumer: str) -> None:
        """Raises ValueError when a field is missing or damaged, or the id is none of ours."""
        if "-" in generation:
            raise ValueError(f"the entry has the id {generation}, and ours end in -0: it was not written by shadows")
        self.place = place
        self.generation = generation
        self.deliveries = deliveries
        self.consumer = consumer
        self.attempt = 1
        self.submission = generation
        self.due: float | None = None
        self.places: Held = ()
        self.priority: Priority = "normal"
        # Written by `submit` in this order; anything else is read by name.
        if len(fields) == 6 and fields[0] == b"k" and fields[2] == b"f" and fields[4] == b"p":
            self.key = fields[1].decode()
            self.function = fields[3].decode()
            self.payload = fields[5]
        else:
            self._read(dict(zip(fields[::2], fields[1::2], strict=False)))

    def _read(self, fields: dict[bytes, bytes]) -> None:
        missing = [name.decode() for name in (b"k", b"f", b"p") if name not in fields]
        if missing:
            raise ValueError(f"the entry has no field {', '.join(missing)}: it was not written by shadows")
        self.key = fields[b"k"].decode()
        self.function = fields[b"f"].decode()
        self.payload = fields[b"p"]
        self.attempt = int(fields.get(b"a", 1))
        self.submission = fields.get(b"n", generation_bytes(self.generation)).decode()
        self.due = float(fields[b"w"]) if b"w" in fields else None
        self.priority = priority_of(fields.get(b"pr"))
        if b"gt" in fields:
            self.places = held_of(fields[b"gt"])

    @property
    def id(self) -> str:
        """The id of the entry in its stream."""
        return f"{self.generation}-0"

    @property
    def when(self) -> datetime:
        """When it was due; when it was placed, if it was for at once."""
        return moment(self.due if self.due is not None else int(self.generation) / 1000)

    @property
    def redelivered(self) -> bool:
        """Whether a worker was handed this execution before; a suspect was, under the numbers that it had then."""
        return self.deliveries > 1 or self.place == SUSPECTS


def held_of(field: bytes) -> Held:
    """The limits in the field of an entry; none when it is damaged: it asks once more then."""
    try:
        return HELD.decode(field)
    except msgspec.DecodeError:
        return ()


def generation_bytes(generation: str) -> bytes:
    """A generation as the stream's fields carry it."""
    return generation.encode()


def id_of(generation: str) -> str:
    """The id of an entry, from what `number_of` made of it."""
    return generation if "-" in generation else f"{generation}-0"


def number_of(id: bytes) -> str:
    """The generation in an entry's id; the whole id, with its dash, when it is none of ours."""
    return (id[:-2] if id.endswith(b"-0") else id).decode()

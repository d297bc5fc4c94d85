"""Just enough of the Redis protocol to see where one command or reply ends and the next begins."""

from collections.abc import Iterator

AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
BLOBS = frozenset(b"$!=")


def frames(data: bytes) -> Iterator[tuple[int, int]]:
    """The start and end of every complete frame, in order; an incomplete one at the end is left out."""
    start = 0
    while (end := _end(data, start)) is not None:
        yield start, end
        start = end


def words_of(frame: bytes) -> list[bytes]:
    """The words of one command, which clients send as an array of blobs."""
    words, at = [], frame.index(b"\r\n") + 2
    while at < len(frame):
        line = frame.index(b"\r\n", at)
        length = int(frame[at + 1 : line])
        words.append(frame[line + 2 : line + 2 + length])
        at = line + 2 + length + 2
    return words


def _end(data: bytes, start: int) -> int | None:
    open_items = 1
    at = start
    while open_items:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        kind = data[at]
        count = int(data[at + 1 : line]) if kind in AGGREGATES or kind in BLOBS else 0
        at = line + 2
        if kind in BLOBS and count >= 0:
            at += count + 2
            if at > len(data):
                return None
        open_items += max(count, 0) * AGGREGATES.get(kind, 0) - 1
    return at

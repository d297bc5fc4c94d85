"""Reads the manifests of a guide: of YAML just what they use, so that the tests need no library for it.

That is mappings and lists in blocks, lists and texts as JSON writes them, whole numbers, and plain texts. Anything else
is an error: it would be read otherwise by Kubernetes.
"""

import json
import re
from typing import Any

PLAIN = re.compile(r"[A-Za-z/][\w./:-]*|[0-9]+[KMG]i")
# Texts that YAML takes for something else.
SPECIAL = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


def manifests(text: str) -> list[Any]:
    """What each document of a text says."""
    return [Reader(document).block() for document in text.split("---\n")]


class Reader:
    """Reads one document, line by line."""

    def __init__(self, text: str) -> None:
        lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
        self._lines = [(len(line) - len(line.lstrip()), line.strip()) for line in lines]

    def block(self) -> Any:
        """The mapping or the list that begins with the next line, up to its last."""
        depth, first = self._lines[0]
        if first.startswith("- "):
            return [self._item(depth) for _ in iter(lambda: self._goes_on(depth, "- "), False)]
        return dict(self._pair(depth) for _ in iter(lambda: self._goes_on(depth), False))

    def _goes_on(self, depth: int, mark: str = "") -> bool:
        if not self._lines or self._lines[0][0] < depth:
            return False
        assert self._lines[0][0] == depth, f"is indented by more than its neighbours: {self._lines[0][1]!r}"
        return self._lines[0][1].startswith(mark)

    def _item(self, depth: int) -> Any:
        self._lines[0] = (depth + 2, self._lines[0][1].removeprefix("- "))
        return self.block()

    def _pair(self, depth: int) -> tuple[str, Any]:
        _, line = self._lines.pop(0)
        name, colon, value = line.partition(":")
        assert colon, f"expected `name: value`: {line!r}"
        if value:
            return name, scalar(value.strip())
        assert self._lines[0][0] > depth, f"{name!r} has nothing in it"
        return name, self.block()


def scalar(text: str) -> Any:
    """A value that stands on one line."""
    return text if PLAIN.fullmatch(text) and text.lower() not in SPECIAL else json.loads(text)

"""Which lines our processes log, as their sources have them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

LEVELS = {"warning", "error", "exception", "critical"}
PLACEHOLDER = re.compile(r"%(?:\.\d+)?[sdrfg]")


def logged(path: Path) -> Iterator[str]:
    """The texts that a module logs as warnings or worse; those that are nothing but a placeholder are left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "logger" and node.func.attr in LEVELS | {"log"}:
            texts = [
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            yield from (text for text in texts[:1] if PLACEHOLDER.sub("", text).strip())


def longest_part(text: str) -> str:
    """What of a text always stands in its line."""
    return max((part.strip() for part in PLACEHOLDER.split(text)), key=len)

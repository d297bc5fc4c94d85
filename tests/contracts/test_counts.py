"""What is counted in a text is in the singular when there is one of it: `shadows.amounts.counted` sees to that."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.sources import modules

NOUNS = "calls|entries|executions|fields|functions|items|lines|suspects|tasks|workers"
STATES = "dead|parked|paused|quarantined|ready|running|scheduled|waiting"
# `tasks/s` is a unit.
PLURAL = re.compile(rf"%[dsg] (?:(?:{STATES}) )?(?:{NOUNS})\b(?!/)")
MARK = "%d"


def texts(path: Path) -> Iterator[str]:
    """The texts of a module, with `%d` for what an f-string puts in, unless that is a constant of ours or counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else MARK * counts(part) for part in node.values)


def counts(part: ast.expr) -> bool:
    """Whether what is put in may be a bare number."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return not (isinstance(value, ast.Name) and value.id.isupper()) and "counted(" not in ast.unparse(value)


@pytest.mark.parametrize(("name", "path"), modules().items())
def test_no_text_has_a_number_before_a_plural(name: str, path: Path) -> None:
    found = [text for text in texts(path) if PLURAL.search(text)]
    assert found == [], f"{name}: use counted()"

"""Each promise of the reliability page is held by tests that exist."""

import ast
import re

import pytest

from tests.contracts.sources import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text()
PROMISES = [part.partition("\n")[0] for part in PAGE.split("\n## ")[1:]]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_there_are_twelve_promises_in_their_order() -> None:
    assert [int(promise.partition(".")[0]) for promise in PROMISES] == list(range(1, 13))


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_tests(promise: str) -> None:
    text = PAGE.partition(f"## {promise}")[2].partition("\n## ")[0]
    assert "::test_" in text, f"nothing holds the promise {promise!r}"


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part)
def test_a_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions, f"docs/reliability.md names {path}::{name}; was it renamed?"

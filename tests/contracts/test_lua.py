"""Each script says which states it moves an execution between, and agrees with `states.py` on it."""

import re
from pathlib import Path

import pytest

from shadows import scripts
from shadows.redis_server import ServerVersion
from shadows.scripts import LUA, Script
from shadows.states import MOVES, ExecutionState
from shadows.testing import RedisServer
from tests.servers import programs

FILES = sorted(LUA.glob("*.lua"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

# The first line of a script that moves no execution.
OBSERVES = "-- observes"

STATES = {*map(str, ExecutionState)}


def head_of(path: Path) -> list[str]:
    """The lines before the first empty one: what the script is for, and the names of what it is given."""
    return path.read_text().partition("\n\n")[0].splitlines()


def body_of(path: Path) -> str:
    """The rest, without comments."""
    return re.sub(r"--.*", "", path.read_text().partition("\n\n")[2])


def test_there_are_scripts_and_python_knows_each_by_its_name() -> None:
    """A file that nobody loads is dead."""
    known = {script.name for script in vars(scripts).values() if isinstance(script, Script)}
    assert known == {path.stem for path in FILES} != set()


@each_file
def test_the_first_line_names_the_moves_that_states_py_lists(path: Path) -> None:
    first = head_of(path)[0]
    if path.stem not in MOVES:
        assert first == OBSERVES, f"{path.stem} is not in MOVES of states.py, so its first line is {OBSERVES!r}"
        return
    before, arrow, after = first.removeprefix("-- ").partition(" -> ")
    said = frozenset(before.split(", ")), frozenset(after.split(", "))
    assert (arrow, said) == (" -> ", MOVES[path.stem])


def test_every_move_of_states_py_has_its_script() -> None:
    assert set(MOVES) <= {path.stem for path in FILES}


def test_every_move_is_between_states_that_exist() -> None:
    for name, (before, after) in MOVES.items():
        assert before <= STATES | {"none"}, name
        assert after <= STATES, name


@each_file
def test_a_script_writes_no_state_that_it_does_not_move_to(path: Path) -> None:
    """The word after a field `s` or `os` is what is written there; other fields have one or two letters."""
    written = set(re.findall(r"'o?s',\s*'(\w{3,})'", body_of(path)))
    _, after = MOVES.get(path.stem, (frozenset(), frozenset[str]()))
    assert written <= after


@each_file
def test_the_head_says_what_the_script_does_and_returns(path: Path) -> None:
    comments = [line for line in head_of(path) if line.startswith("--")]
    assert len(comments) >= 3
    assert re.search(r"\bReturns\b", " ".join(comments[1:]))


@each_file
def test_arguments_are_named_in_the_head_and_never_numbered_again(path: Path) -> None:
    """`ARGV[7]` in the middle of a script is a riddle, and a new argument before it makes it a bug."""
    numbered = re.findall(r"\b(?:KEYS|ARGV)\[\s*\d+\s*\]", body_of(path))
    assert not numbered, f"{numbered}: bind them to names before the first empty line"


@each_file
def test_a_script_neither_scans_all_keys_nor_loops_without_a_limit(path: Path) -> None:
    source = body_of(path)
    assert not re.search(r"""call\(\s*['"](?:KEYS|SCAN)['"]""", source, re.IGNORECASE)
    assert not re.search(r"\bwhile\s+true\b|\brepeat\b", source)


def test_every_script_that_adds_to_the_quarantine_applies_the_same_limits() -> None:
    """A script can't include another, so each has them; two of the three had none."""
    adding = [source for path in FILES if "'XADD', quarantine" in (source := path.read_text())]
    limits = [
        re.findall(r"^local MOST, OLDEST_MS.* = (10000, 30 \* 24 \* 3600 \* 1000)", each, re.MULTILINE)
        for each in adding
    ]
    trims = [re.findall(r"'XTRIM', quarantine, '(MAXLEN|MINID)'", each) for each in adding]
    assert len(adding) == 4
    assert all(limits), limits
    assert trims == [["MAXLEN", "MINID"]] * 4


def test_every_script_that_places_an_entry_finds_the_next_generation_in_the_same_way() -> None:
    """One alone survived the loss of the counter. The quarantine gives its own ids."""
    placing = [path for path in FILES if "placed .. '-0', " in path.read_text()]
    found = {
        path.stem: re.findall(r"^local function last_id.*?^end$", path.read_text(), re.DOTALL | re.MULTILINE)
        for path in placing
    }
    assert set(found) == {"submit", "promote", "settle", "takeover", "park", "unpark", "requeue", "admit", "open"}
    assert len({str(each) for each in found.values()}) == 1
    assert all(found.values())


def test_who_asks_and_who_opens_judge_lost_places_in_the_same_way() -> None:
    """A script can't include another; a place that one of them kept and the other took would be had twice."""
    judging = [(LUA / f"{name}.lua").read_text() for name in ("admit", "open")]
    found = [re.findall(r"^local function is_kept.*?^end$", each, re.DOTALL | re.MULTILINE) for each in judging]
    assert found[0] == found[1]
    assert found[0]


@pytest.mark.parametrize("version", programs(), ids=str)
def test_every_script_compiles_on_every_server(version: ServerVersion) -> None:
    with RedisServer(program=programs()[version]) as server:
        for path in FILES:
            assert server.command("SCRIPT", "LOAD", path.read_bytes()) == Script(path.stem).digest

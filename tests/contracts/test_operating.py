"""The operator's guide lists what there is: every option with its default, every unit file, every line that asks
for a person."""

import re
import tomllib

import pytest

from shadowsd.commands.daemon import run
from shadowsd.master import settling
from tests.contracts.logged import logged, longest_part
from tests.contracts.sources import ROOT

GUIDE = (ROOT / "docs" / "operating.md").read_text()
OPTIONS = {option.opts[0]: option for option in run.params if option.name != "check_config"}
ROWS = dict(re.findall(r"^\| `(--[a-z-]+)` \| ([^|]+) \|", GUIDE, re.MULTILINE))
# Of `run_until_finished` and `on_error`, which no daemon has.
OF_NO_DAEMON = {"finish.py", "error_hook.py"}
LINES = [
    (path.name, text)
    for folder in ("master", "engine")
    for path in sorted((ROOT / "shadowsd" / folder).glob("*.py"))
    if path.name not in OF_NO_DAEMON
    for text in logged(path)
]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_in_the_table_with_its_default(name: str) -> None:
    default = OPTIONS[name].default
    said = ROWS[name].strip().strip("`")
    if isinstance(default, str | int) and not isinstance(default, bool):
        assert said == str(default)
    else:
        found = re.search(r"\[default: (.*?)\]", getattr(OPTIONS[name], "help", "") or "")
        assert said == (found[1] if found else said)


def test_the_table_has_no_option_that_is_not_there() -> None:
    assert ROWS.keys() <= OPTIONS.keys()


@pytest.mark.parametrize(("file", "text"), LINES)
def test_the_runbook_has_every_line_that_asks_for_a_person(file: str, text: str) -> None:
    assert longest_part(text)[:40] in GUIDE, f"{file} logs {text!r}"


@pytest.mark.parametrize("line", [settling.LOOP_BEGAN, settling.LOOP_ENDED])
def test_the_runbook_knows_a_crash_loop(line: str) -> None:
    assert line[:60] in GUIDE


def test_the_guide_names_every_file_of_systemd() -> None:
    for file in (ROOT / "systemd").iterdir():
        assert file.name in GUIDE


def test_the_package_puts_the_units_where_the_guide_takes_them_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"] == {"systemd": "share/shadowsd"}
    assert "cd /opt/shadowsd/venv/share/shadowsd\n" in GUIDE

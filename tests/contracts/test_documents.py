"""What the documents say of the code is so: links lead somewhere, and tables list what there is."""

import re
from pathlib import Path

import pytest

import shadows
from shadows.keys import Keys
from shadows.scripts import LUA
from shadows.states import MOVES
from shadowsd.observe.function_text import DURATION, PUNCTUALITY, TASKS
from shadowsd.observe.metrics import COUNTERS, DEPTHS, SLOT_GAUGES
from tests.contracts.sources import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def rows_of(page: Path) -> list[list[str]]:
    """The cells of all table rows of a page."""
    lines = page.read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def anchors_of(page: Path) -> set[str]:
    """The names of the headings of a page, as links use them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        if path.startswith("https:"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name} links to {link}"


def test_the_life_of_a_task_lists_the_moves_of_states_py() -> None:
    said = {
        row[0].strip("`"): (frozenset(row[1].split(", ")), frozenset(row[2].split(", ")))
        for row in rows_of(DOCS / "task-lifecycle.md")
        if row[0].strip("`") in MOVES
    }
    assert said == MOVES


def test_the_redis_layout_lists_every_script_and_every_key() -> None:
    named = {name for row in rows_of(DOCS / "redis-layout.md") for name in re.findall(r"`([^`]+)`", row[0])}
    scripts = {path.stem for path in LUA.glob("*.lua")}
    assert scripts <= named
    keys = Keys("x")
    plain = {value.removeprefix(keys.prefix) for value in vars(keys).values() if isinstance(value, str)} - {""}
    templates = {"task:": "task:<key>", "state:": "state:<key>"}
    assert {templates.get(name, name) for name in plain} <= named
    assert {"unknown:<function>", "reply:<client>:<lane>"} <= named


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_short_and_says_what_it_cost(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= 20
    for part in ("Question", "Choice", "Given up"):
        assert f"**{part}.**" in text, f"{page.name} has no {part}"


def test_every_page_of_the_guide_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in readme]
    assert not missing


def test_every_guide_is_listed() -> None:
    listed = (DOCS / "guides.md").read_text()
    missing = [page.name for page in (DOCS / "guides").glob("*.md") if f"(guides/{page.name})" not in listed]
    assert not missing


def test_what_the_readme_says_is_not_there_yet_is_not_there() -> None:
    section = (ROOT / "README.md").read_text().partition("## What is not there yet")[2].partition("\n## ")[0]
    assert section
    names = re.findall(r"`([A-Z]\w+)`", section)
    assert not {*names} & {*shadows.__all__}, "these have come: take them out of the README, and into the changelog"


def test_the_page_on_watching_lists_every_metric_with_its_labels_and_an_alert_on_it() -> None:
    told = {
        row[0].strip("`* "): (set(re.findall(r"`(\w+)`", row[1])), row[3])
        for row in rows_of(DOCS / "observing.md")
        if row[0].startswith("`shadows_")
    }
    labels = {name: set(labels) for name, (labels, _) in COUNTERS.items()}
    labels |= {f"shadows_{name}": {"slot"} for name in SLOT_GAUGES}
    labels |= {f"shadows_{name}": set() for name in ("redis_up", *DEPTHS)}
    labels |= {f"{TASKS[0]}_total": {"function", "outcome"}, DURATION[0]: {"function"}, PUNCTUALITY[0]: {"function"}}
    labels["shadows_build_info"] = {"version"}
    assert {name: named for name, (named, _) in told.items()} == labels
    for name, (_, alert) in told.items():
        assert name in alert

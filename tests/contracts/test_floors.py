"""Each module stands on a floor, imports only its own floor and those below, and no two import each other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.sources import Import, imports_of, modules

# The plan of the house. A package stands for everything in it; a new module of
# the client is given its place here.
FLOORS: dict[int, str] = {
    0: "errors forked amounts states keys lazy durations identifiers times priorities annotations codec",
    1: "execution scripts settings urls redis_server embedded_files embedded connection subscriptions "
    "registry dependencies",
    2: "records following ledger told submissions adding strikes strikelist snapshot quarantine obstacles ahead why "
    "client shadow agenda default loop_thread sync tasks expectations collecting rehearsing private_redis awaits "
    "crashing moved_clock testing",
}
UPPER_FLOORS = {"shadowsd.engine": 3, "shadowsd.observe": 4, "shadowsd.master": 5, "shadowsd.commands": 6}

# `Worker` is a public name of `shadows` and lives in the daemon's engine: the one way up, which only type
# checkers walk; at run time it opens when somebody asks for it.
UPWARD_DOOR = "shadows"

# What `import shadows` may load beside the standard library; the engine makes do with the same.
LIBRARIES = {"redis", "hiredis", "msgspec", "uncalled_for"}

MODULES = modules()
IMPORTS = {name: imports_of(name, path, MODULES) for name, path in MODULES.items()}


def floor_of(name: str) -> int | None:
    """The floor of a module, or None when nobody has given it a place."""
    if name in ("shadows", "shadows_pytest"):
        return 2
    if name == "shadowsd":
        return 3
    package, _, rest = name.partition(".")
    if package == "shadowsd":
        return UPPER_FLOORS.get(".".join(name.split(".")[:2]))
    return next((floor for floor, names in FLOORS.items() if rest.split(".")[0] in names.split()), None)


def ours(name: str) -> Iterator[Import]:
    """The imports of a module that count: all of our own modules, but for the one door."""
    for found in IMPORTS[name]:
        if found.target in MODULES and not (name == UPWARD_DOOR and found.for_types_only):
            yield found


def test_every_module_has_a_place() -> None:
    homeless = [name for name in MODULES if floor_of(name) is None]
    assert not homeless, f"on which floor are {homeless}? Say so in FLOORS of {Path(__file__).name}"


def test_no_place_is_kept_for_a_module_that_is_gone() -> None:
    named = {f"shadows.{name}" for names in FLOORS.values() for name in names.split()}
    assert named <= set(MODULES), f"no such modules: {sorted(named - set(MODULES))}"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_its_own_floor_and_below(name: str) -> None:
    floor = floor_of(name)
    if floor is not None:
        upward = [
            f"{MODULES[name]}:{found.line} imports {found.target} of floor {floor_of(found.target)}"
            for found in ours(name)
            if (floor_of(found.target) or 0) > floor
        ]
        assert not upward, f"{name} is on floor {floor}: {upward}"


def test_no_circle_of_imports_exists() -> None:
    """Imports for type checkers count: two modules that name each other can't be read one after the other."""
    finished: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " imports ".join((*trail[trail.index(name) :], name))
        if name not in finished:
            for found in ours(name):
                visit(found.target, (*trail, name))
            finished.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(("shadows.", "shadowsd.engine"))])
def test_the_client_and_the_engine_need_no_more_libraries(name: str) -> None:
    strangers = {
        found.target
        for found in IMPORTS[name]
        if found.target.split(".")[0] not in LIBRARIES | {"shadows", "shadowsd"} | sys.stdlib_module_names
    }
    assert not strangers, f"{name} imports {sorted(strangers)}: optional libraries load in lazy.py"


def test_only_public_packages_re_export() -> None:
    """Whoever looks for a name finds it in the file that is named for it."""
    public = ("shadows", "shadows.dependencies", "shadowsd.engine")
    for name, path in MODULES.items():
        if path.name == "__init__.py" and name not in public:
            assert not IMPORTS[name], f"{path} holds its docstring and nothing else"

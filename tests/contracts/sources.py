"""The modules of this tree and what each imports, read from their syntax and never by importing them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client"
DAEMON = ROOT / "shadowsd"
TESTS = ROOT / "tests"


@dataclass(frozen=True)
class Import:
    """One import of a module, and whether only type checkers follow it."""

    target: str
    line: int
    for_types_only: bool = False


def modules() -> dict[str, Path]:
    """Every module that we ship, by its dotted name."""
    found = {}
    for source_root, folder in ((CLIENT, CLIENT), (ROOT, DAEMON)):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(source_root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, known: dict[str, Path]) -> list[Import]:
    """What a module imports; an imported submodule counts as itself, any other name as its module."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test).endswith("TYPE_CHECKING")
        for node in ast.walk(guard)
    }
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return [
        Import(target, node.lineno, id(node) in for_types)
        for node in ast.walk(tree)
        for target in _targets(node, package, known)
    ]


def _targets(node: ast.AST, package: str, known: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        origin = node.module or ""
        if node.level:
            ancestors = package.split(".")
            ancestors = ancestors[: len(ancestors) - node.level + 1]
            origin = ".".join([*ancestors, origin]).rstrip(".")
        for alias in node.names:
            inner = f"{origin}.{alias.name}"
            yield inner if inner in known else origin

"""The first look at this repository shows every room, and nothing else."""

import shutil
import subprocess

import pytest

from tests.contracts.sources import ROOT

ROOMS = {"pyproject.toml", "shadowsd", "client", "systemd", "tests", "bench", "docs", "README.md"}


def tracked() -> set[str]:
    """The top-level names of what git would commit: kept, or new and not ignored."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("only a git checkout knows what belongs to the tree")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.strip('"').split("/")[0] for line in listed if (ROOT / line.strip('"')).exists()}


def test_the_top_level_holds_the_rooms_and_dotfiles_only() -> None:
    strangers = {name for name in tracked() if not name.startswith(".")} - ROOMS
    assert not strangers, (
        f"{sorted(strangers)} do not belong at the top level: licence, changelog and decisions are in docs/"
    )


def test_every_room_is_there() -> None:
    missing = ROOMS - tracked()
    assert not missing, f"{sorted(missing)} are missing"


def test_no_lock_file_is_kept() -> None:
    """A library is tested with what its users get, which is the newest that fits."""
    assert "uv.lock" not in tracked()
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()

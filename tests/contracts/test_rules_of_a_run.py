"""What `tests/conftest.py` promises to those who read a green run."""

import os
from pathlib import Path

import pytest

from tests.processes import Process, write_script

SKIPPED = "import pytest\ndef test_it():\n    pytest.skip('no such machine')\n"
SKIPPED_WHOLE = "import pytest\npytest.skip('no such machine', allow_module_level=True)\n"
TIMED = "import pytest\n@pytest.mark.timed\ndef test_it():\n    pass\ndef test_another():\n    pass\n"


def said_of(directory: Path, source: str, *options: str, ci: str = "") -> str:
    """The closing line of a pytest run over this source, under the rules of our own."""
    tests = write_script(directory, "test_it", source)
    given = ("-p", "tests.conftest", "-o", "markers=timed", "-o", "asyncio_default_fixture_loop_scope=function")
    environment = {"CI": ci} | {name: "" for name in os.environ if name.startswith("COVERAGE")}
    arguments = ("-m", "pytest", "-q", "--rootdir", directory, *given, *options, tests)
    with Process(*arguments, environment=environment) as process:
        process.wait(60)
        return process.lines[-1]


@pytest.mark.parametrize("source", [SKIPPED, SKIPPED_WHOLE], ids=["test", "module"])
def test_a_skip_is_a_failure_in_ci_only(tmp_path: Path, source: str) -> None:
    assert said_of(tmp_path, source).startswith("1 skipped")
    assert said_of(tmp_path, source, ci="true").startswith(("1 failed", "1 error"))


def test_timed_tests_run_alone_or_not_at_all(tmp_path: Path) -> None:
    """Beside other tests they would judge those; a slow neighbour is no slow import."""
    assert said_of(tmp_path, TIMED).startswith("2 passed")
    assert said_of(tmp_path, TIMED, "-n", "1").startswith("1 passed")

"""Optional libraries are loaded at their first use, and their absence names the remedy."""

import sys

import pytest

from shadows import lazy
from shadows.errors import ConfigurationError


def test_optional_libraries_are_loaded_when_they_are_there() -> None:
    """Nothing else stands between the user and them."""
    assert lazy.cloudpickle().__name__ == "cloudpickle"
    assert lazy.cronsim().__name__ == "cronsim"
    assert lazy.zoneinfo().__name__ == "zoneinfo"


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """`No module named ...` says neither why it is wanted nor what to do."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(ConfigurationError, match=r'serializer="pickle" needs .* pip install "shadow-task\[pickle\]"'):
        lazy.cloudpickle()
    with pytest.raises(ConfigurationError, match=r'Cron needs the library cronsim.* pip install "shadow-task"'):
        lazy.cronsim()

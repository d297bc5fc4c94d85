"""`run_at_most` counts runs by key or by function, and costs nothing without limits."""

from shadowsd.engine.limits import Limits

from .parts import entry_of


def test_without_limits_everything_is_admitted() -> None:
    """And nothing is the last."""
    limits = Limits()
    assert not limits.active
    assert limits.admit(entry_of())
    assert not limits.last(entry_of())


def test_a_function_is_admitted_so_often() -> None:
    """Over all its keys."""
    limits = Limits()
    limits.set({"job": 2})
    assert limits.active
    assert limits.admit(entry_of("a"))
    assert not limits.last(entry_of("a"))
    assert limits.admit(entry_of("b"))
    assert limits.last(entry_of("b"))
    assert not limits.admit(entry_of("c"))
    assert limits.admit(entry_of("a", "other"))


def test_a_key_counts_before_its_function() -> None:
    """It says more."""
    limits = Limits()
    limits.set({"special": 1, "job": 5})
    assert limits.admit(entry_of("special"))
    assert not limits.admit(entry_of("special"))
    assert limits.admit(entry_of("another"))


def test_none_at_all_is_a_limit_too() -> None:
    """What is left of it is dropped."""
    limits = Limits()
    limits.set({"job": 0})
    assert not limits.admit(entry_of())
    assert limits.last(entry_of())


def test_setting_no_limits_ends_the_counting() -> None:
    """The same worker may run for ever afterwards."""
    limits = Limits()
    limits.set({"job": 0})
    limits.set({})
    assert not limits.active
    assert limits.admit(entry_of())

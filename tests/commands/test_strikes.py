"""`shadows strike`, `restore` and `cancel`."""

import pytest

from shadows import Disposition
from shadows.sync import Shadow
from tests.commands.commands import output_of, run


def send_mail(customer_id: int, amount: float = 0, to: str = "") -> None:
    """A task to hold back."""


@pytest.mark.parametrize(
    ("strike", "struck", "free"),
    [
        (["send_mail"], [(1,), (2,)], []),
        (["send_mail", "customer_id", "==", "42"], [(42,)], [(43,)]),
        (["*", "customer_id", ">=", "42"], [(42,), (43,)], [(41,)]),
        (["send_mail", "amount", "between", "1", "10"], [(1, 1.0), (1, 10.0)], [(1, 10.5)]),
        (["send_mail", "to", "==", "Jane"], [(1, 0, "Jane")], [(1, 0, "John")]),
        (["send_mail", "to", "==", '"5"'], [(1, 0, "5")], [(1, 0, "6")]),
        (["send_mail", "customer_id", "<", "--", "-1"], [(-2,)], [(-1,)]),
    ],
)
def test_what_is_struck_is_not_added_until_it_is_restored(
    shadow: Shadow, strike: list[str], struck: list[tuple[int]], free: list[tuple[int]]
) -> None:
    def dispositions(calls: list[tuple[int]]) -> set[Disposition]:
        return {shadow.add(send_mail)(*call).disposition for call in calls}

    assert output_of("strike", *strike).startswith("Struck ")
    assert dispositions(struck) == {Disposition.STRUCK}
    assert dispositions(free) <= {Disposition.SCHEDULED}
    assert output_of("restore", *strike).startswith("Restored ")
    assert dispositions(struck) == {Disposition.SCHEDULED}


def test_restoring_what_was_not_struck_says_what_is(shadow: Shadow) -> None:
    assert output_of("restore", "other").endswith("Strikes now: none.\n")
    output_of("strike", "send_mail", "customer_id", "==", "42")
    assert output_of("restore", "send_mail", "customer_id", "==", "43").endswith(
        "Strikes now: send_mail where customer_id == 42.\n"
    )


@pytest.mark.parametrize(
    ("strike", "code", "words"),
    [
        (["send_mail", "customer_id"], 2, "needs an operator and a value"),
        (["send_mail", "customer_id", "==", "1", "2"], 2, "compares with one value, and got 2"),
        (["send_mail", "customer_id", "~", "1"], 78, "'~' is not one of"),
        (["send_mail", "amount", "between", "1"], 1, "needs two bounds"),
        (["*"], 1, "which would strike every task"),
    ],
)
def test_a_strike_without_a_meaning_is_refused(shadow: Shadow, strike: list[str], code: int, words: str) -> None:
    result = run("strike", *strike)
    assert result.exit_code == code
    assert words in result.stderr


def test_what_is_paused_is_named_until_it_is_resumed(shadow: Shadow) -> None:
    assert output_of("pause", "greet") == f"Paused greet in {shadow.name}. Paused now: greet.\n"
    assert output_of("pause") == f"Paused all functions in {shadow.name}. Paused now: *, greet.\n"
    assert output_of("resume", "greet") == f"Resumed greet in {shadow.name}. Paused now: *.\n"
    assert output_of("resume") == f"Resumed all functions in {shadow.name}. Paused now: nothing.\n"


def test_cancel_says_whether_there_was_something(shadow: Shadow) -> None:
    shadow.add(send_mail, key="k")(1)
    assert output_of("cancel", "k") == f"Cancelled 'k' in {shadow.name}.\n"
    assert output_of("cancel", "k").startswith("Nothing to cancel: ")


@pytest.mark.parametrize(
    "command",
    [
        ["cancel", "\udcff"],
        ["tasks", "trace", "a message", "--key", "\udcff"],
        ["strike", "\udcff"],
        ["restore", "send_mail", "\udcff", "==", "1"],
    ],
    ids=lambda command: command[0],
)
def test_an_argument_that_is_no_text_fails_in_one_sentence_that_shows_it(shadow: Shadow, command: list[str]) -> None:
    """A terminal with another encoding passes such bytes on; some commands ended in an encoder's traceback."""
    result = run(*command)
    assert result.exit_code == 1
    assert r"'\udcff' is no text: surrogates not allowed. Expected what UTF-8 can encode" in result.stderr

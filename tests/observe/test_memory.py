"""Memory that belongs to one process alone."""

import os

from shadowsd.observe.memory import private_bytes


def test_what_a_process_allocates_and_writes_is_its_own() -> None:
    before = private_bytes()
    assert before is not None
    taken = bytearray(b"x" * 20_000_000)
    after = private_bytes(os.getpid())
    assert after is not None
    assert 18_000_000 < after - before < 30_000_000
    del taken


def test_what_a_forked_copy_shares_with_its_parent_is_not() -> None:
    """Workers share the application that was imported before the fork; counted whole, it would be counted for each."""
    reader, writer = os.pipe()
    taken = bytearray(b"x" * 150_000_000)
    child = os.fork()
    if child == 0:
        os.write(writer, str(private_bytes()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reader, 100)) < 100_000_000
    os.close(reader)
    os.close(writer)
    del taken


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    assert private_bytes(2**22 + 1) is None

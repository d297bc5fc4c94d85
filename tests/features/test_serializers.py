"""What payloads are made of: msgpack unless you choose pickle, and signed if you have a secret."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from shadows import QuarantinedTask, Shadow
from shadows.errors import ArgumentsError, PayloadTooLarge

from .workers import finish


class Anything:
    """A class that no annotation describes."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything) and other.value == self.value

    __hash__ = None  # type: ignore[assignment] # not needed


async def echo(value):  # type: ignore[no-untyped-def] # any object, on purpose
    return value


def another(name: str, url: str, **options: object) -> Shadow:
    return Shadow(name=name, url=url, **options)  # type: ignore[arg-type] # the tests pass what fits


async def test_with_pickle_any_object_travels(shadows_url: str) -> None:
    """There and back; functions made on the spot, too."""
    async with another(f"test-{uuid4()}", shadows_url, serializer="pickle") as shadows:
        thing = await shadows.add(echo)(Anything({1, 2}))
        function = await shadows.add(echo)(lambda x: x + 1)
        await finish(shadows)
        assert await thing.get_result() == Anything({1, 2})
        added: Callable[[int], int] = await function.get_result()
        assert added(1) == 2


async def test_without_pickle_such_an_object_is_refused(shadows: Shadow) -> None:
    """Nothing that comes from Redis is unpickled unless the user chose so."""
    with pytest.raises(ArgumentsError, match="serializer"):
        await shadows.add(echo)(Anything(1))


async def test_the_environment_can_choose_pickle(shadows_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all processes of a deployment at once."""
    monkeypatch.setenv("SHADOWS_SERIALIZER", "pickle")
    async with another(f"test-{uuid4()}", shadows_url) as shadows:
        execution = await shadows.add(echo)(Anything(1))
        await finish(shadows)
        assert await execution.get_result() == Anything(1)


async def test_a_worker_without_pickle_does_not_unpickle(shadows_url: str) -> None:
    """Whoever can write to Redis must not be able to run code here."""
    name = f"test-{uuid4()}"
    async with another(name, shadows_url, serializer="pickle") as writer, another(name, shadows_url) as reader:
        execution = await writer.add(echo)(Anything(1))
        await finish(reader)
        with pytest.raises(QuarantinedTask, match="pickled"):
            await execution.get_result()


@pytest.mark.parametrize("serializer", ["msgpack", "pickle"])
async def test_signed_payloads_run_where_the_secret_is_known(shadows_url: str, serializer: str) -> None:
    """Arguments and results of either kind."""
    name = f"test-{uuid4()}"
    options = {"serializer": serializer, "secret": "a long secret"}
    async with another(name, shadows_url, **options) as writer, another(name, shadows_url, **options) as reader:
        execution = await writer.add(echo)([1, 2])
        await finish(reader)
        assert await execution.get_result() == [1, 2]


@pytest.mark.parametrize("secret", [None, "another secret"], ids=["unsigned", "with another secret"])
async def test_what_is_not_signed_with_the_secret_is_quarantined(shadows_url: str, secret: str | None) -> None:
    """And not run."""
    name = f"test-{uuid4()}"
    async with (
        another(name, shadows_url, secret=secret) as writer,
        another(name, shadows_url, secret="the secret") as reader,
    ):
        execution = await writer.add(echo)(1)
        await finish(reader)
        (entry,) = await reader.quarantine()
        assert "sign" in entry.cause
        with pytest.raises(QuarantinedTask):
            await execution.get_result()


async def test_a_signed_payload_can_not_be_moved_to_another_key(shadows_url: str) -> None:
    """The signature says what the payload is for."""
    async with another(f"test-{uuid4()}", shadows_url, secret="the secret") as shadows:
        await shadows.add(echo, key="cheap")(1)
        async with shadows.redis() as redis:
            ((id, fields),) = await redis.xrange(shadows.keys.stream)
            following = int(id.partition(b"-")[0]) + 1
            await redis.xadd(shadows.keys.stream, {**fields, b"k": b"dear"}, id=f"{following}-0")
        await finish(shadows)
        (entry,) = await shadows.quarantine()
        assert (entry.key, "signature" in entry.cause) == ("dear", True)


async def test_payloads_have_a_size_limit_with_a_clear_error(shadows: Shadow, shadows_url: str) -> None:
    """1 MiB unless you say otherwise: store the data elsewhere and pass a reference."""
    with pytest.raises(PayloadTooLarge, match="the limit is 1,048,576"):
        await shadows.add(echo)(b"x" * (1 << 20))
    async with another(f"test-{uuid4()}", shadows_url, maximum_payload=3 << 20) as large:
        execution = await large.add(echo)(b"x" * (2 << 20))
        await finish(large)
        assert len(await execution.get_result()) == 2 << 20


async def test_a_result_that_is_too_large_is_the_failure_of_the_task(shadows: Shadow) -> None:
    """Whoever waits is told why there is none."""

    async def large() -> bytes:
        return b"x" * (2 << 20)

    execution = await shadows.add(large)()
    await finish(shadows)
    with pytest.raises(PayloadTooLarge, match=r"large\(\)"):
        await execution.get_result()

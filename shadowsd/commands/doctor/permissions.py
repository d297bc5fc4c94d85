"""May this user do what a worker does? Each command is tried, once, on a key that is gone again at the end.

`ACL DRYRUN` would say it without a try, but it is for administrators, and an ordinary user is who must be asked.
"""

import json
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from shadows.keys import GROUP, Keys

from .finding import Finding, fail, ok

SCRIPT = Path(__file__).with_name("permissions.lua")
# No connection has this number.
NOBODY = 1 << 62


async def finding(redis: Redis, keys: Keys) -> Finding:
    """Whether all are allowed; raises RedisError when the server does not answer."""
    remedy = f"Allow this user ~{keys.prefix}* &{keys.prefix}* and these commands: ACL SETUSER, or its ACL file."
    try:
        refused = await refused_in_scripts(redis, keys) + await refused_alone(redis, keys)
    except NoPermissionError as error:
        return fail("permissions", f"This user may not use the keys of this shadow: {error}.", remedy)
    if refused:
        return fail(
            "permissions", f"This user may not run {', '.join(sorted({*refused}))}: workers can't work.", remedy
        )
    return ok("permissions", "This user may run every command that a worker needs.")


async def refused_in_scripts(redis: Redis, keys: Keys) -> list[str]:
    """Those that the scripts call."""
    scratch = scratch_key(keys)
    commands = json.dumps(samples(scratch, keys))
    found = await redis.eval(SCRIPT.read_text(), 1, scratch, commands)
    return [name.decode() for name in found]


async def refused_alone(redis: Redis, keys: Keys) -> list[str]:
    """Those that are sent by themselves; none of these does anything."""
    scratch = scratch_key(keys)
    tries: list[tuple[str | int, ...]] = [
        ("CLIENT", "ID"), ("CLIENT", "UNBLOCK", NOBODY), ("CLIENT", "KILL", "ID", NOBODY),
        ("CLIENT", "LIST", "ID", NOBODY), ("EVALSHA", "0" * 40, 1, scratch), ("INFO", "server"), ("PING",),
        ("XREVRANGE", scratch, "+", "-"),
    ]  # fmt: skip
    refused = []
    for command in tries:
        try:
            await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoPermissionError:
            refused.append(f"{command[0]} {command[1]}" if command[0] == "CLIENT" else str(command[0]))
        except ResponseError:
            continue  # it was allowed, and there is no such thing
    if await subscribing_fails(redis, keys):
        refused.append("SUBSCRIBE")
    return refused


async def subscribing_fails(redis: Redis, keys: Keys) -> bool:
    """Tried on a connection of its own."""
    async with redis.pubsub() as pubsub:
        try:
            await pubsub.subscribe(keys.signal)
            await pubsub.get_message(timeout=1.0)
        except NoPermissionError:
            return True
        except RedisError:
            return False
    return False


def scratch_key(keys: Keys) -> str:
    """A key of ours that nobody else uses."""
    return keys.reply("doctor", "permissions")


def samples(scratch: str, keys: Keys) -> list[list[str]]:
    """One call of each command that our scripts make. The key never has the right type for all of them: no matter."""
    tail = {
        "DEL": [], "EXISTS": [], "GET": [], "HDEL": ["f"], "HGET": ["f"], "HEXISTS": ["f"], "HGETALL": [],
        "HKEYS": [],        "HLEN": [], "HINCRBY": ["f", "1"], "HRANDFIELD": [],
        "HMGET": ["f"], "HSET": ["f", "v"], "PERSIST": [], "PEXPIRE": ["1000"], "SET": ["v", "PX", "1000"],
        "XACK": [GROUP, "1-0"], "XADD": ["*", "f", "v"], "XCLAIM": [GROUP, "c", "0", "1-0"], "XDEL": ["1-0"],
        "XLEN": [], "XPENDING": [GROUP], "XRANGE": ["-", "+"], "XTRIM": ["MAXLEN", "1"], "ZADD": ["1", "m"],
        "ZCARD": [], "ZCOUNT": ["0", "1"], "ZRANGE": ["0", "0"], "ZRANGEBYSCORE": ["0", "1"], "ZREM": ["m"],
        "ZREMRANGEBYSCORE": ["0", "1"], "ZREVRANGE": ["0", "0"], "ZREVRANGEBYSCORE": ["1", "0"], "ZSCORE": ["m"],
        "XREVRANGE": ["+", "-"],
    }  # fmt: skip
    return [
        *([name, scratch, *rest] for name, rest in tail.items()),
        ["INCR", scratch],
        # No one listens to the events of this key.
        ["PUBLISH", keys.events("doctor"), "doctor"],
        ["TIME"],
        ["XGROUP", "CREATE", scratch, GROUP, "0"],
        ["XGROUP", "DELCONSUMER", scratch, GROUP, "c"],
        ["XINFO", "CONSUMERS", scratch, GROUP],
        ["XINFO", "GROUPS", scratch],
        ["XINFO", "STREAM", scratch],
        ["XREADGROUP", "GROUP", GROUP, "c", "COUNT", "1", "STREAMS", scratch, ">"],
    ]

"""Makes the awaits of a file places at which a test can stop a task for good, as the death of its process would.

A dead process runs no `except` and no `finally`, so nothing may be raised in the task: it has to stay where it is.
Only what waits can stay, and what a test awaits often does not wait at all. So for the time of the test the file is
compiled again, with a place to wait before and after each await (`await`, `async with`, `async for`), and the
functions that exist get that code. They stay the same objects, with their closures, defaults and globals.
"""

import ast
import asyncio
import ctypes
import gc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, FunctionType, TracebackType
from typing import Any, Protocol

AWAIT, WITH, FOR = "_shadows_await_", "_shadows_with_", "_shadows_for_"


class Passing(Protocol):
    """Who wants to know where a task is."""

    async def passed(self, place: str) -> None:
        """The task is at this place, and goes on when this returns."""


# The run that the present code belongs to, also in the asyncio tasks that it makes; outside of a run nothing stops.
inside: ContextVar[Passing | None] = ContextVar("shadows_crash_run", default=None)


@contextmanager
def places_at_awaits(function: Callable[..., Any]) -> Iterator[None]:
    """Inside the block, the code of the file in which `function` is written tells `inside` of its awaits.

    Raises ValueError when that file can't be read, or says something else than what was imported.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType):
        raise ValueError(
            f"The awaits of {function!r} can't be found, a {type(plain).__name__}. Pass an `async def` function."
        )
    file = plain.__code__.co_filename
    codes = {(code.co_qualname, code.co_firstlineno): code for code in _codes_of(_compiled(file))}
    changed = [each for each in gc.get_objects() if type(each) is FunctionType and each.__code__.co_filename == file]
    before = [(each, each.__code__) for each in changed]
    marks = Marks(file)
    spaces = {id(each.__globals__): each.__globals__ for each in changed}.values()
    try:
        for space in spaces:
            space.update({AWAIT: marks.awaited, WITH: marks.entered, FOR: marks.iterated})
        for each, code in before:
            new = codes.get((code.co_qualname, code.co_firstlineno))
            if new is not None and new.co_freevars == code.co_freevars:
                each.__code__ = new
            elif each is plain:
                raise ValueError(
                    f"The awaits of {plain.__qualname__} can't be found in {file}, line {code.co_firstlineno}: the "
                    "file was changed after it was imported, or a decorator made it. Pass the function itself."
                )
        yield
    finally:
        for each, code in before:
            each.__code__ = code
        for space in spaces:
            for name in (AWAIT, WITH, FOR):
                space.pop(name, None)


def _compiled(file: str) -> CodeType:
    try:
        tree = ast.parse(Path(file).read_bytes(), file)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"The awaits of the task are read in its source, and {file!r} can't be read as Python ({error}). Write the "
            "task into a file of its own."
        ) from error
    return compile(ast.fix_missing_locations(Rewriter().visit(tree)), file, "exec", dont_inherit=True)


def _codes_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_of(constant)


class Rewriter(ast.NodeTransformer):
    """Hands what is awaited, entered and iterated to `Marks`."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        node.value = _handed(AWAIT, node.value, node.lineno)
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        for item in node.items:
            item.context_expr = _handed(WITH, item.context_expr, item.context_expr.lineno)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        node.iter = _handed(FOR, node.iter, node.lineno)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        if node.is_async:
            node.iter = _handed(FOR, node.iter, node.iter.lineno)
        return node


def _handed(name: str, value: ast.expr, line: int) -> ast.expr:
    call = ast.Call(ast.Name(name, ast.Load()), [value, ast.Constant(line)], [])
    return ast.copy_location(call, value)


class Marks:
    """The places of one file."""

    def __init__(self, file: str) -> None:
        self._file = file

    async def around(self, awaitable: Awaitable[Any], line: int, what: str) -> Any:
        """Awaits it, with a place before and one after it."""
        run = inside.get()
        if run is None:
            return await awaitable
        await run.passed(f"before {what} at {self._file}:{line}")
        value = await awaitable
        await run.passed(f"after {what} at {self._file}:{line}")
        return value

    def awaited(self, awaitable: Awaitable[Any], line: int) -> Awaitable[Any]:
        """For `await`."""
        return self.around(awaitable, line, "the await")

    def entered(self, manager: AbstractAsyncContextManager[Any], line: int) -> "Entered":
        """For `async with`."""
        return Entered(self, manager, line)

    async def iterated(self, iterable: Any, line: int) -> AsyncIterator[Any]:
        """For `async for`."""
        steps = aiter(iterable)
        while True:
            try:
                value = await self.around(anext(steps), line, "a step of the `async for`")
            except StopAsyncIteration:
                return
            yield value


class Entered:
    """An async context manager with places around its beginning and its end."""

    def __init__(self, marks: Marks, manager: AbstractAsyncContextManager[Any], line: int) -> None:
        self._marks = marks
        self._manager = manager
        self._line = line

    async def __aenter__(self) -> Any:
        return await self._marks.around(self._manager.__aenter__(), self._line, "the beginning of the `async with`")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        leaving = self._manager.__aexit__(kind, error, traceback)
        return await self._marks.around(leaving, self._line, "the end of the `async with`")


async def stay() -> None:
    """Never returns, and raises nothing: the code that awaits this is dead."""
    task = asyncio.current_task()
    assert task is not None  # it is awaited on a loop
    abandon(task)
    while True:
        with suppress(asyncio.CancelledError):  # a deadline around the await, for example: nobody is there to miss it
            await asyncio.get_running_loop().create_future()


def abandon(task: asyncio.Task[Any]) -> None:
    """Leaves an asyncio task as it is for as long as this process lives.

    Freed, or cancelled with its loop, it would run what stands in its `finally` after all, perhaps in another test.
    """
    asyncio._unregister_task(task)  # noqa: SLF001 # documented, for those who extend asyncio
    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 # as asyncio's gather does
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))

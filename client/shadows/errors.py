"""The exceptions that shadows raises, each with what its reader can do about it."""


class ShadowsError(Exception):
    """The root of everything that shadows raises by itself: catch it to catch them all."""


class ConfigurationError(ShadowsError):
    """A setting can't be used.

    Correct the option or environment variable that the message names; nothing was started.
    """


class ArgumentsError(ShadowsError, TypeError):
    """The arguments don't fit the task, or can't travel.

    Nothing was added: correct the call or the task's annotations.
    """


class ResultError(ShadowsError, TypeError):
    """A task ran, but its result can't be stored.

    Annotate what the task returns, or return something simpler.
    """


class PayloadTooLarge(ShadowsError, ValueError):
    """The encoded arguments or result exceed the limit.

    Store the data elsewhere and pass a reference to it.
    """


class PayloadError(ShadowsError, ValueError):
    """Stored data can't be decoded or verified.

    Check that both sides use the same serializer, secret and task.
    """


class NewerFormat(PayloadError):
    """Stored data has a newer format than this release reads.

    Update this process; the data waits for one that can read it.
    """

    def __init__(self, version: int, supported: int) -> None:
        super().__init__(version, supported)
        self.version = version
        self.supported = supported

    def __str__(self) -> str:
        return (
            f"The payload has format version {self.version}, and this release of shadows reads up to version "
            f"{self.supported}. Update shadows in this process."
        )


class RegistrationError(ShadowsError, ValueError):
    """A function can't be registered as a task.

    Rename it, or correct the collection that the message names.
    """


class ConnectionFailed(ShadowsError, ConnectionError):
    """Redis can't be reached.

    Check the URL that the message names and whether the server runs, then call again.
    """


class TooBusy(ConnectionFailed):
    """Too many adds wait for a Redis that does not answer. Slow down, and call again when it is back."""


class ServerRefused(ShadowsError):
    """Redis answered, but refuses to write (read-only, out of memory, no permission).

    Its own words are in the message.
    """


class Fenced(ShadowsError):
    """This run has lost its execution: another one runs it, or it was cancelled or replaced.

    What it does from now on does not count; let it end.
    """


class TooManySteps(ShadowsError):
    """An execution can't keep more steps of `Once`; this one was not taken.

    Add a task for each part of the work, or give `Once` a scope.
    """


class ExecutionCancelled(ShadowsError):
    """The execution was cancelled before it had a result; `reason` says how.

    Add it again if it is still wanted.
    """

    def __init__(self, reason: str = "cancelled") -> None:
        super().__init__(reason)
        self.reason = reason


class QuarantinedTask(ShadowsError):
    """The execution was set aside for an operator.

    See `shadows quarantine show <id>`, then retry or drop it.
    """

    def __init__(self, entry_id: str, cause: str) -> None:
        super().__init__(entry_id, cause)
        self.id = entry_id
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"The execution is in the quarantine as {self.id}: {self.cause}. Look at it with `shadows "
            f"quarantine "
            f"show {self.id}`, then `retry` or `drop` it."
        )


class ResultNotKept(ShadowsError):
    """The execution's outcome is not stored any more, or never was.

    Raise `execution_ttl` to keep outcomes longer.
    """


class RemoteError(Exception):
    """A task failed with an exception that can't be rebuilt here: this shows its type, message and traceback.

    To get the exception itself, import the module that defines it before asking for the result.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(type_name, message, traceback)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        summary = f"{self.type_name}: {self.message}" if self.message else self.type_name
        return f"{summary}\n\n{self.traceback}" if self.traceback else summary

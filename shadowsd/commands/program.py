"""A command line whose exit codes mean something: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration."""

from typing import IO, Any

import click
from redis.exceptions import RedisError

from shadows.errors import ConfigurationError, RegistrationError, ShadowsError
from shadowsd.engine.loading import BrokenModule
from shadowsd.master.exits import MISCONFIGURED
from shadowsd.observe.logs import error_text


class Failed(click.ClickException):
    """What was asked for could not be done."""

    def show(self, file: IO[Any] | None = None) -> None:
        """As click does, and in the journal as an error: `journalctl -p err` says why a service did not start."""
        click.echo(error_text(f"Error: {self.format_message()}\n"), file, err=True, nl=False)


class Misconfigured(Failed):
    """What the command was given can't be used; nothing was started."""

    # A service manager can be told not to start again after it.
    exit_code = MISCONFIGURED


class Program(click.Group):
    """A group of commands that ends in one sentence, and not in a traceback, when something is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; click shows the error and exits with its code."""
        try:
            return super().invoke(ctx)
        except click.MissingParameter:
            raise
        except click.BadParameter as error:
            raise Misconfigured(error.format_message()) from error
        except BrokenModule as error:
            click.echo(error_text(error.traceback), err=True, nl=False)
            raise Misconfigured(str(error)) from error
        except (ConfigurationError, RegistrationError) as error:
            raise Misconfigured(str(error)) from error
        except ShadowsError as error:
            raise Failed(str(error)) from error
        except RedisError as error:
            raise Failed(
                f"Redis answered: {error}. Look at what else uses these keys, and at what its user may do."
            ) from error

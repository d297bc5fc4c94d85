"""The command line `shadowsd`: runs the daemon, and speaks to a running one."""

import click

from shadows import __version__

from .daemon import run
from .demo.command import demo
from .doctor.command import doctor
from .program import Program
from .ruling import reload, scale, stacks, stop
from .status import status
from .top import top
from .unit import unit


class Daemon(Program):
    """`shadowsd --workers 8` is `shadowsd run --workers 8`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts `run` in front of options that are none of the group's own."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if not args or (args[0].startswith("-") and args[0].partition("=")[0] not in own):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Daemon, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SHADOWSD"})
@click.version_option(__version__, prog_name="shadowsd", allow_from_autoenv=False)
def main() -> None:
    """Keeps the workers of a machine alive, and never drops a task.

    Without a command it runs, as `shadowsd run` does.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.
    """


for command in (run, status, top, reload, scale, stacks, stop, doctor, unit, demo):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="shadowsd")

"""The command line: ``snnbench list | data | run | check | report | claims | speed | speed-training``.

Exit codes: 0 fine; 1 a number differs; 2 cannot run (one line says what is missing and how to get it); 3 a fault in snnbench
itself, which the traceback tells; 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
import traceback
from importlib import import_module
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from benchmarks.errors import CannotRun
from benchmarks.harness.commands.common import errors

# Newer versions of typer bring a click of their own; this is the base of the usage errors of either.
ClickException: Any = typer.BadParameter.__bases__[0].__bases__[0]

COMMANDS = {
    "list": "listing:list_command",
    "data": "data:data_command",
    "run": "run:run_command",
    "check": "check:check_command",
    "report": "report:report_command",
    "claims": "claims:claims_command",
    "speed": "speed:speed_command",
    "speed-training": "speed_training:speed_training_command",
}


class Commands(TyperGroup):
    """``COMMANDS``, each imported when it is asked for: a report needs no torch."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: Any = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(getattr(import_module(f"benchmarks.harness.commands.{module}"), function))
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    help="Reproducible benchmarks for spiking neural networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback()(lambda: None)
INTERRUPTED = 130
FAULT = 3


def main() -> None:
    """Run the command line; turns errors that a user can fix into one line and exit code 2."""
    # As Ctrl-C, so that parallel processes are ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except CannotRun as error:
        _fail(str(error), 2)
    except ClickException as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            _fail(error.format_message(), 2)
        typer.echo(error.format_message(), err=True)  # the help, on many lines
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}; finished measurements are kept, fix this and run the same command again", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception:
        traceback.print_exc()
        _fail("this is a fault in snnbench, not in what you gave it; please report it with the lines above", FAULT)
    if code == INTERRUPTED:  # some versions of typer return it instead of raising
        _fail("interrupted; finished measurements are kept, run the same command again to go on", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    errors.print(f"[red]snnbench:[/red] {escape(' '.join(message.split()))}", soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

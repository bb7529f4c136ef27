"""The command ``btkite``: a table of verbs, mounted when they are called, and one way to fail.

A verb's module, and all that it imports, is loaded when that verb is used, so that ``btkite --help``
does not wait for pandas. An error that btkite raises on purpose is one sentence on stderr and an exit
code that a script can act on; anything else is a bug, and its traceback goes to the log.

======  ===========================================================
code    meaning
======  ===========================================================
0       done
1       it failed
2       the command or the configuration is wrong; nothing started
3       the risk gate is halted
4       log in first
5       another process runs this account
6       the journal cannot be written or read
130     interrupted from the keyboard
======  ===========================================================
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from .. import log
from .._version import __version__
from ..errors import BtkiteError, ConfigError

if TYPE_CHECKING:
    from ..config import Config

INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb lives (``module:attribute``; a function or a typer app) and what it does, for the help."""

    home: str
    help: str

    @property
    def module(self) -> str:
        return self.home.partition(":")[0]

    def exists(self) -> bool:
        """True if the module is part of this installation."""
        return importlib.util.find_spec(self.module) is not None

    def load(self, name: str) -> Any:
        """The command itself."""
        module, _, attribute = self.home.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(name)(found)
            found = app
        command = get_command(found)
        command.name = name
        return command


VERBS: Final[Mapping[str, Verb]] = {
    "run": Verb("btkite.cli.run:run", "Run a strategy on history, on paper or live."),
    "sweep": Verb("btkite.cli.sweep:sweep", "Many sets of parameters, ranked."),
    "demo": Verb("btkite.cli.demo:demo", "One strategy in all three modes, on the built-in exchange."),
    "data": Verb("btkite.cli.data:app", "Fetch, import, list and show candles."),
    "calendar": Verb("btkite.cli.calendar:app", "When the exchanges trade; take their new lists."),
    "check": Verb("btkite.cli.check:app", "What happens when the process dies."),
    "charges": Verb("btkite.cli.charges:charges", "What an order costs, line by line."),
    "chaos": Verb("btkite.cli.chaos:chaos", "A strategy against all that can go wrong on the way to Kite."),
    "exchange": Verb("btkite.cli.exchange:app", "Start the simulated exchange, or judge one."),
    "login": Verb("btkite.cli.login:login", "Log in to Kite for today."),
    "logout": Verb("btkite.cli.login:logout", "End today's session and forget its token."),
    "config": Verb("btkite.cli.config:app", "Show, check and find the configuration."),
    "profile": Verb("btkite.cli.account:profile", "Who is logged in."),
    "margins": Verb("btkite.cli.account:margins", "Money and margins of the account."),
    "holdings": Verb("btkite.cli.account:holdings", "Long-term holdings."),
    "positions": Verb("btkite.cli.account:positions", "Open positions."),
    "orders": Verb("btkite.cli.orders:app", "The day's order book; why each order was given."),
    "status": Verb("btkite.cli.status:status", "How an account stands, from a second terminal."),
    "alerts": Verb("btkite.cli.alerts:alerts", "What a person was told, and what became of it."),
    "kill": Verb("btkite.cli.kill:kill", "No entry any more; on request, nothing open either."),
    "resume": Verb("btkite.cli.account:resume", "Take back kill switch and loss limit."),
    "quote": Verb("btkite.cli.account:quote", "Last prices."),
}


class VerbGroup(TyperGroup):
    """Shows a table of verbs; loads a verb when it is called."""

    verbs: ClassVar[Mapping[str, Verb]] = VERBS

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, verb in self.verbs.items():
            if verb.exists():
                self.commands[name] = TyperCommand(name=name, help=verb.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """As typer does it, but the verb's placeholder gives way to the verb."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name is not None and name in self.verbs:
            command = self.verbs[name].load(name)
        return name, command, rest


@dataclass(frozen=True, slots=True)
class Call:
    """What was said before the verb; a verb finds it with :func:`call_of`."""

    config_path: Path | None = None
    debug: bool = False

    def config(self, overrides: Mapping[str, Any] | None = None) -> Config:
        """The configuration in force, and the log set up as it says.

        ``overrides`` are the verb's own options by dotted key; those that are None were not given.

        Raises:
            ConfigError: the configuration is wrong, or the log's file cannot be written.
        """
        from ..config import load

        given = {key: value for key, value in (overrides or {}).items() if value is not None}
        config = load(self.config_path, overrides=given)
        self.open_log(config)
        return config

    def open_log(self, config: Config) -> None:
        """Write the log of this process where the configuration says."""
        wanted = config.log.file
        file = config.paths.state / "btkite.log" if wanted is True else wanted or None
        level = "debug" if self.debug else config.log.level
        try:
            log.configure(level, file, config.log.json_lines)
        except OSError as error:
            raise ConfigError(
                f"cannot write the log {file}: {error.strerror}; change log.file or paths.state"
            ) from error


def call_of(ctx: typer.Context) -> Call:
    """The :class:`Call` of this command line (a fresh one if a verb is used without ``btkite``)."""
    found = ctx.find_object(Call)
    return found if found is not None else Call()


app = typer.Typer(
    cls=VerbGroup,
    name="btkite",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"btkite {__version__}")
        raise typer.Exit


@app.callback()
def _btkite(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration file, instead of ./config.yaml.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log in full detail, and show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """backtrader with a live Kite store: one strategy on history, on paper and live."""
    ctx.obj = Call(config_path=config, debug=debug)


def main(args: Sequence[str] | None = None, command: typer.Typer = app) -> int:
    """Run a command line and return its exit code; what the console script calls."""
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given
    try:
        code = command(args=given, prog_name="btkite", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        print("aborted", file=sys.stderr)
        return 1
    except _Misused as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            print(f"error: {_misused(error)}", file=sys.stderr)
        return error.exit_code
    except BtkiteError as error:
        _say(str(error), error, debug)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  # the last line of defence: a bug is told in one line, and logged whole
        hint = "" if debug else "; --debug shows where"
        _say(f"unexpected {type(error).__name__}: {error}{hint}", error, debug)
        return 1
    finally:
        log.close()


_Misused: Final[Any] = typer.BadParameter.__mro__[1]  # UsageError, of click or of typer's own copy of it


_NUMBERS: Final[Mapping[str, str]] = {"integer": "a whole number", "number": "a number", "float": "a number"}


def _misused(error: Any) -> str:
    """What is wrong with a command line, as one sentence."""
    path = error.ctx.command_path if error.ctx is not None else ""
    kind, parameter = type(error).__name__, getattr(error, "param", None)
    said = error.format_message().rstrip(".")
    wanted = next((words for kind_of, words in _NUMBERS.items() if f"valid {kind_of}" in said), None)
    if kind == "BadParameter" and parameter is not None and wanted is not None:
        return f"{parameter.opts[0]} takes {wanted} (see `{path} --help`)"
    if kind == "MissingParameter" and parameter is not None:
        metavar = parameter.metavar or parameter.name.upper()
        name = metavar if parameter.param_type_name == "argument" else f"{parameter.opts[0]} {metavar}"
        meaning = " ".join((getattr(parameter, "help", None) or "").split()).rstrip(".")
        return f"`{path}` needs {name}" + (f": {meaning}" if meaning else "")
    return f"{said[:1].lower()}{said[1:]}{f' (see `{path} --help`)' if path and not said.endswith('?') else ''}"


def _say(sentence: str, error: Exception, debug: bool) -> None:
    if log.mute():
        whole = debug or not isinstance(error, BtkiteError)
        log.get_logger(__name__).error("stopped", error=sentence, exc_info=error if whole else None)
    if debug:
        print(log.redact_text("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    print(log.redact_text(f"error: {sentence}"), file=sys.stderr)

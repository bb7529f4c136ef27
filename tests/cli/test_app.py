"""The command: lazy verbs, exit codes, one sentence an error."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from btkite import errors
from btkite.cli import app as cli
from btkite.cli.app import Verb, VerbGroup, call_of, main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a state folder of its own, and no btkite in the environment."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command_that(act: Callable[[typer.Context], None]) -> typer.Typer:
    """``btkite`` with one verb, ``act``, mounted as the real verbs are."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(cli._btkite)

    @app.command("act")
    def verb(ctx: typer.Context) -> None:
        act(ctx)

    return app


def raising(error: BaseException) -> typer.Typer:
    def act(_: typer.Context) -> None:
        raise error

    return command_that(act)


def tree(kind: type[errors.BtkiteError]) -> list[type[errors.BtkiteError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in tree(below))]


@pytest.mark.parametrize("kind", [one for one in tree(errors.BtkiteError) if one.__module__ == "btkite.errors"])
def test_an_error_of_ours_is_one_sentence_and_its_exit_code(kind: type[errors.BtkiteError], capsys: Capture) -> None:
    assert main(["act"], raising(kind("the market is closed"))) == kind.exit_code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: the market is closed\n")


def test_the_exit_codes_are_those_of_the_documents() -> None:
    assert errors.BtkiteError.exit_code == 1
    assert errors.ConfigError.exit_code == 2
    assert errors.RiskHalt.exit_code == 3
    assert errors.SessionExpired.exit_code == 4
    assert errors.AccountLocked.exit_code == 5


def test_a_verb_that_returns_is_zero_and_one_that_exits_says_its_code() -> None:
    assert main(["act"], command_that(lambda _: None)) == 0
    assert main(["act"], raising(typer.Exit(3))) == 3


def test_an_interrupt_is_130_without_a_traceback(capsys: Capture) -> None:
    assert main(["act"], raising(KeyboardInterrupt())) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_told_in_one_line_and_with_debug_whole(capsys: Capture) -> None:
    assert main(["act"], raising(KeyError("lots"))) == 1
    assert capsys.readouterr().err == "error: unexpected KeyError: 'lots'; --debug shows where\n"
    assert main(["--debug", "act"], raising(KeyError("lots"))) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("error: unexpected KeyError: 'lots'\n")


def test_secrets_are_masked_in_what_is_said(capsys: Capture) -> None:
    secret = "http://h/?access_token=Zx81aaaa"
    for line in (["act"], ["--debug", "act"]):
        assert main(line, raising(errors.KiteUnavailable(f"GET {secret} failed"))) == 1
        assert "Zx81" not in capsys.readouterr().err


def test_a_bug_after_the_start_goes_whole_to_the_log_and_as_one_line_to_stderr(
    own_folder: Path, capsys: Capture
) -> None:
    def act(ctx: typer.Context) -> None:
        call_of(ctx).config()
        raise KeyError("lots")

    assert main(["act"], command_that(act)) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    (line,) = (own_folder / "state" / "btkite" / "btkite.log").read_text(encoding="utf-8").splitlines()
    assert "in act" in json.loads(line)["exception"]


def test_the_global_options_reach_the_verb(own_folder: Path) -> None:
    (own_folder / "other.yaml").write_text("risk: {max_daily_trades: 3}\nlog: {file: false}\n", encoding="utf-8")
    seen: list[Any] = []

    def act(ctx: typer.Context) -> None:
        config = call_of(ctx).config({"run.sessions": 2, "run.quiet": None})
        seen.append((config.risk.max_daily_trades, config.run.sessions, config.run.quiet))

    assert main(["--config", "other.yaml", "act"], command_that(act)) == 0
    assert seen == [(3, 2, False)]
    assert not (own_folder / "state").exists()


def test_a_log_that_cannot_be_written_is_a_matter_of_configuration(own_folder: Path, capsys: Capture) -> None:
    (own_folder / "state").write_text("a file in the way", encoding="utf-8")
    assert main(["act"], command_that(lambda ctx: call_of(ctx).config() and None)) == 2
    assert "change log.file or paths.state" in capsys.readouterr().err


def test_a_usage_error_is_2_and_suggests_the_verb(capsys: Capture) -> None:
    assert main(["confg"]) == 2
    assert "Did you mean 'config'?" in capsys.readouterr().err
    assert main(["--nosuch"]) == 2
    assert main(["config", "show", "--nosuch"]) == 2
    assert "no such option: --nosuch" in capsys.readouterr().err
    assert main(["exchange", "--from", "2024"]) == 2
    assert capsys.readouterr().err == "error: '2024' is not a date: write 2026-11-23 or 2026-11-23 09:15\n"


def test_the_version_is_printed(capsys: Capture) -> None:
    from btkite import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"btkite {__version__}\n"


def test_the_help_lists_every_verb_of_this_installation(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    shown = {line.split()[0]: " ".join(line.split()[1:]) for line in out.partition("Commands:")[2].splitlines() if line}
    assert shown == {name: verb.help for name, verb in cli.VERBS.items() if verb.exists()}


def test_every_verb_of_this_installation_can_be_loaded_and_has_a_help() -> None:
    for name, verb in cli.VERBS.items():
        if verb.exists():
            assert verb.load(name).help, name


def test_a_verb_whose_module_is_missing_is_left_out_and_a_broken_one_fails_only_itself(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (own_folder / "verbs_for_test.py").write_text("def good():\n    '''Good.'''\n    print('done')\n", encoding="utf-8")
    (own_folder / "broken_for_test.py").write_text("import there_is_no_such_module\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(own_folder))

    class Table(VerbGroup):
        verbs = {
            "good": Verb("verbs_for_test:good", "Good."),
            "gone": Verb("gone_for_test:gone", "Gone."),
            "broken": Verb("broken_for_test:app", "Broken."),
        }

    app = typer.Typer(cls=Table, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(cli._btkite)
    assert main(["--help"], app) == 0
    out = capsys.readouterr().out
    assert "good" in out
    assert "broken" in out
    assert "gone" not in out
    assert main(["good"], app) == 0
    assert capsys.readouterr().out == "done\n"
    assert main(["broken"], app) == 1
    assert "there_is_no_such_module" in capsys.readouterr().err
    assert main(["gone"], app) == 2


def test_a_verb_may_be_a_function_with_options_or_an_app_with_members(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (own_folder / "two_kinds_for_test.py").write_text(
        "import typer\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def one(): print('one')\n"
        "@app.command()\n"
        "def two(): print('two')\n"
        "def alone(count: int = 1): print('alone', count)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(own_folder))

    class Table(VerbGroup):
        verbs = {"app": Verb("two_kinds_for_test:app", "."), "alone": Verb("two_kinds_for_test:alone", ".")}

    app = typer.Typer(cls=Table, rich_markup_mode=None)
    app.callback()(cli._btkite)
    assert main(["app", "two"], app) == 0
    assert main(["alone", "--count", "3"], app) == 0
    assert capsys.readouterr().out == "two\nalone 3\n"


def test_the_help_is_quick_and_loads_nothing_heavy() -> None:
    program = (
        "import sys; from btkite.cli.app import main; code = main(['--help']);"
        "heavy = {'pandas', 'numpy', 'kiteconnect', 'backtrader', 'aiohttp', 'apprise', 'structlog', 'pyarrow'};"
        "sys.exit(code or ', '.join(heavy & set(sys.modules)) or None)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stderr) == (0, "")
    assert (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime) < 0.5  # seconds of CPU


def test_the_package_can_be_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "btkite", "nosuch"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such command 'nosuch'" in done.stderr


# -- btkite config ---------------------------------------------------------------------------------


def test_config_show_prints_what_is_in_force_and_where_it_was_said(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (own_folder / "config.yaml").write_text("risk: {max_daily_trades: 3}\n", encoding="utf-8")
    monkeypatch.setenv("BTKITE_RISK__MAX_POSITION_PCT", "4")
    assert main(["config", "show", "--origins", "risk", "run.quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "risk.max_daily_trades: 3  # config.yaml, line 1" in lines
    assert "risk.max_position_pct: 4.0  # environment, BTKITE_RISK__MAX_POSITION_PCT" in lines
    assert lines[-1] == "run.quiet: false  # default"
    assert all(line.startswith(("risk.", "run.quiet")) for line in lines)


def test_config_show_masks_secrets(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("KITE_API_SECRET", "Zx81hidden")
    for line in (
        ["config", "show"],
        ["config", "show", "--json"],
        ["config", "show", "broker.kite_connect.api_secret"],
    ):
        assert main(line) == 0
        out = capsys.readouterr().out
        assert "Zx81" not in out
        assert "**********" in out


def test_config_show_refuses_an_unknown_key(capsys: Capture) -> None:
    assert main(["config", "show", "risk.max_daily_trade"]) == 2
    assert "did you mean risk.max_daily_trades?" in capsys.readouterr().err


def test_config_check_lists_every_problem(own_folder: Path, capsys: Capture) -> None:
    (own_folder / "config.yaml").write_text("riks: 1\nrisk: {max_daily_trades: 0}\npassword: x\n", encoding="utf-8")
    assert main(["config", "check"]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 3
    assert "did you mean risk?" in err
    assert "max_daily_trades must be above 0" in err
    assert "interactive" in err


def test_config_takes_its_file_after_the_verb_too(own_folder: Path, capsys: Capture) -> None:
    (own_folder / "bad.yaml").write_text("riks: 1\n", encoding="utf-8")
    (own_folder / "good.yaml").write_text("broker: {capital: 12345}\n", encoding="utf-8")
    assert main(["config", "check", "--config", "bad.yaml"]) == 2
    assert "did you mean risk?" in capsys.readouterr().err
    assert main(["config", "check", "--config", "good.yaml"]) == 0
    assert capsys.readouterr().out.startswith("good.yaml: right; 1 key set")
    assert main(["config", "show", "--config", "good.yaml", "broker.capital"]) == 0
    assert "12345" in capsys.readouterr().out
    assert main(["config", "path", "--config", "good.yaml"]) == 0
    assert capsys.readouterr().out.strip().endswith("good.yaml")


def test_config_check_warns_of_a_secret_that_others_may_read(own_folder: Path, capsys: Capture) -> None:
    file = own_folder / ".env"
    file.write_text("KITE_API_SECRET=Zx81hidden\n", encoding="utf-8")
    file.chmod(0o644)
    assert main(["config", "check"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("no file: right; 1 key set")
    assert err == "warning: .env holds a secret and others may read it: chmod 600 .env\n"
    file.chmod(0o600)
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().err == ""


def test_config_path_names_the_file_that_is_read(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def said(*options: str) -> str:
        assert main([*options, "config", "path"]) == 0
        return capsys.readouterr().out.strip()

    assert said().startswith("no file")
    here, other = own_folder / "config.yaml", own_folder / "other.yaml"
    here.touch()
    other.touch()
    assert said() == str(here)
    monkeypatch.setenv("BTKITE_CONFIG", "other.yaml")
    assert said() == str(other)
    assert said("--config", "config.yaml") == str(here)
    assert main(["--config", "none.yaml", "config", "path"]) == 2


def test_config_docs_prints_a_file_that_loads_as_the_defaults(own_folder: Path, capsys: Capture) -> None:
    from btkite.config import Config, load

    assert main(["config", "docs"]) == 0
    (own_folder / "printed.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert load("printed.yaml") == Config()
    assert main(["config", "docs", "--as", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$defs"]["Risk"]["properties"]["max_position_pct"]["maximum"] == 100

"""``btkite run`` as it is typed: what it prints, what it leaves, and how it says no."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from btkite import simulator
from btkite.candles import CandleCache
from btkite.cli.app import main
from btkite.cli.run import sparkline
from btkite.clock import SystemClock
from btkite.exchange import Exchange, ExchangeSettings
from btkite.journal import AccountLock
from btkite.risk.gate import KillSwitch
from btkite.series import Candles

REPOSITORY = Path(__file__).resolve().parents[2]
SMA = f"{REPOSITORY / 'strategies' / 'sma_cross.py'}:SmaCross"
SYMBOL = "NSE:RELIANCE"
TOKEN = "token-of-the-served-exchange"
Btkite = Callable[..., tuple[int, str, str]]

SOURCE = """
import backtrader as bt

class Buys(bt.Strategy):
    params = (("size", 3),)

    def next(self):
        if not self.position:
            self.buy(size=self.p.size)
            self.buy(size=2, exectype=bt.Order.Limit, price=self.data.close[0] * 0.9)
"""


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Candles], datetime]:
    return simulator.made_up([SYMBOL], "15minute", seed=3, warmup=20, sessions=2)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: tuple[dict[str, Candles], datetime]) -> Path:
    """A working folder with candles and a state of its own, and no btkite in the environment."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(tmp_path / "candles"))
    monkeypatch.setenv("BTKITE_EXCHANGE__PORT", "0")
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    monkeypatch.setenv("BTKITE_BROKER__SQUARE_OFF", "null")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    CandleCache(tmp_path / "candles").write(made[0][SYMBOL])
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def day(made: tuple[dict[str, Candles], datetime]) -> str:
    """The first day that is traded."""
    return f"{made[1]:%Y-%m-%d}"


@pytest.fixture
def btkite(btkite: Btkite) -> Btkite:
    """Its verb ``run``."""
    return partial(btkite, "run")


@pytest.fixture
def exchange(made: tuple[dict[str, Candles], datetime]) -> Iterator[Exchange]:
    one = made[0][SYMBOL]
    series = simulator.candle_series(one)
    settings = ExchangeSettings(
        candles={SYMBOL: series}, start=made[1] + timedelta(hours=9), auto_token=TOKEN, api_key="simulator"
    )
    with Exchange(settings) as running:
        yield running


# ---- what it prints ----------------------------------------------------------------------------------


def test_a_backtest_says_what_it_does_and_what_came_of_it(btkite: Btkite, day: str, own_folder: Path) -> None:
    code, out, err = btkite(SMA, "-s", "RELIANCE", "-i", "15minute", "--from", day, "-p", "fast=3", "-p", "slow=6",
                            "--warmup", "20")  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "mode      backtest (simulated fills, no order leaves this machine)"
    banner = dict(line.split(None, 1) for line in lines[:11])
    assert banner["strategy"] == "SmaCross(fast=3, slow=6; default percent=9.0)"
    assert banner["symbols"] == SYMBOL
    assert banner["range"] == f"{day} 09:15 to {_last(own_folder)} 15:30, 50 bars"
    assert banner["warm-up"] == "20 bars before the start"
    assert banner["endpoint"] == "none: the cache, no network"
    assert banner["account"] == "none"
    assert banner["product"] == "MIS"
    assert banner["capital"] == "₹1,00,000.00"
    assert banner["limits"] == "max position 10 %; max 50 entries a day; max portfolio loss 5 %"
    assert "│ Start value     │" in out
    assert "₹1,00,000.00 │" in out
    folder = next((own_folder / "runs").glob("*-backtest-SmaCross-RELIANCE"))
    assert lines[-1] == f"report: runs/{folder.name}/report.html"
    assert (folder / "report.html").is_file()
    assert (folder / "equity.png").is_file()


def _last(folder: Path) -> str:
    stored = CandleCache(folder / "candles").stored(SYMBOL, "15minute")
    assert stored is not None
    assert stored.last is not None
    return f"{stored.last:%Y-%m-%d}"


def test_the_three_modes_print_the_same_figures(btkite: Btkite, day: str) -> None:
    given = (SMA, "-s", "RELIANCE", "-i", "15minute", "--from", day, "-p", "fast=3", "-p", "slow=6", "--no-save")
    found = []
    for mode in ("backtest", "paper", "live"):
        code, out, err = btkite(*given, "--mode", mode, "--confirm", "SIM001")
        assert (code, "error" in err) == (0, False)
        found.append([line for line in out.splitlines() if line.startswith("│ ")])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 26


def test_a_live_run_says_each_order_and_whose_money_it_is(btkite: Btkite, day: str) -> None:
    code, out, _ = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--to", day, "--mode", "live",
                          "--confirm", "SIM001", "--no-save")  # fmt: skip
    assert code == 0
    assert "\nmode      live (orders are sent)\n" in f"\n{out}"
    assert "\naccount   SIM001 (play money)\n" in out
    assert "\nendpoint  simulator, started for this run, lock step, candles from the cache\n" in out
    assert f"\n{day} 09:30:00  BUY 3 NSE:RELIANCE Market: filled at ₹" in out
    assert f"\n{day} 15:30:00  BUY 2 NSE:RELIANCE Limit ₹" in out
    assert "still open: position 3 NSE:RELIANCE at ₹" in out


def test_the_first_line_of_a_result_says_what_was_denied(btkite: Btkite, day: str) -> None:
    code, out, _ = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "-p", "size=90", "--no-save")
    assert code == 0
    result = out.split("\n\n", 1)[1].splitlines()
    assert " orders denied: " in result[0]
    assert "max position 10 % (risk.max_position_pct)" in result[0]


def test_made_up_prices_are_announced(btkite: Btkite, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(own_folder / "nothing"))
    code, out, _ = btkite("mine.py", "-s", "RELIANCE", "-i", "60minute", "--mode", "paper", "--no-save")
    assert code == 0
    assert "MADE-UP candles, seed 7 (none are stored)" in out


def test_made_up_prices_that_are_asked_for_serve_every_mode(btkite: Btkite) -> None:
    given = ("mine.py", "-s", "NSE:ANYTHING", "-i", "60minute", "--made-up", "--no-save", "--confirm", "SIM001")
    for mode in ("backtest", "live"):
        code, out, _ = btkite(*given, "--mode", mode)
        assert code == 0
        assert "MADE-UP candles, seed 7" in out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code"), [("SIM001", 0), ("SIM002", 2)])
def test_in_a_terminal_the_account_may_be_typed(
    btkite: Btkite, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    found, out, err = btkite("mine.py", "-s", "RELIANCE", "-i", "60minute", "--made-up", "--mode", "live", "--no-save")
    assert found == code
    assert "live sends orders for the account SIM001 on simulator. Type SIM001 to go on" in out + err


def test_json_is_all_that_is_on_stdout(btkite: Btkite, day: str) -> None:
    code, out, err = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--mode", "paper", "--json",
                            "--no-save")  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert (found["mode"], found["symbols"], found["exit_code"]) == ("paper", [SYMBOL], 0)
    assert found["left_open"][0].startswith("position 3 NSE:RELIANCE at ₹")
    assert err.startswith("mode      paper")


def test_quiet_prints_the_result_only(btkite: Btkite, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTKITE_RUN__QUIET", "true")
    _, out, err = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--to", day, "--mode", "paper",
                         "--no-save")  # fmt: skip
    assert err == ""
    assert out.startswith("Buys on NSE:RELIANCE, 15minute, paper (simulated fills, rule path)\n")


def test_options_win_over_the_file_that_is_named(btkite: Btkite, day: str, own_folder: Path) -> None:
    (own_folder / "mine.yaml").write_text("broker: {capital: 50000, default_product: CNC}\n")
    given = ("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--no-save", "--config", "mine.yaml")
    _, out, _ = btkite(*given)
    assert "\nproduct   CNC\ncapital   ₹50,000.00\n" in out
    _, out, _ = btkite(*given, "--capital", "250000")
    assert "\ncapital   ₹2,50,000.00\n" in out


@pytest.mark.parametrize(("values", "line"), [([1.0, 1.0], ""), ([1.0], ""), ([], ""), ([1.0, 3.0, 2.0], "▁█▅")])
def test_the_curve_in_a_line(values: list[float], line: str) -> None:
    assert sparkline(values) == line


def test_the_curve_in_a_line_is_no_longer_than_the_line() -> None:
    drawn = sparkline([float(value) for value in range(1000)])
    assert (len(drawn), drawn[0], drawn[-1]) == (40, "▁", "█")


# ---- how it says no ------------------------------------------------------------------------------------

BAD = {
    "unknown symbol": (["-s", "RELIANC"], 2, "NSE:RELIANC is not in the instruments; did you mean NSE:RELIANCE?"),
    "unknown symbol on paper": (["-s", "RELIANC", "--mode", "paper"], 2, "did you mean NSE:RELIANCE?"),
    "unknown interval": (["-i", "15minutes"], 2, "interval '15minutes' is unknown: use one of minute, 3minute"),
    "no data in the range": (["--from", "2020-01-01", "--to", "2020-02-01"], 1, "is stored from 2026-11-"),
    "no data on paper": (["--from", "2020-01-01", "--mode", "paper", "--to", "2020-02-01"], 1, "is stored from 2026"),
    "no date": (["--from", "yesterday"], 2, "'yesterday' is not a date"),
    "a range that is empty": (
        ["--from", "2026-11-05", "--to", "2026-11-04"], 2, "from 2026-11-05 to 2026-11-04 is empty: the end must come"
    ),
    "unknown exchange": (["-s", "FOO:INFY"], 2, "FOO is no exchange: use one of NSE, "),
    "unknown mode": (["--mode", "liev"], 2, "there is no mode 'liev'; choose one of backtest, paper, live"),
    "live without its account": (["--mode", "live"], 2, "live sends orders for the account SIM001: say so with"),
    "another account": (["--mode", "live", "--confirm", "AB1234"], 2, "the account is SIM001, not AB1234"),
    "a misspelt parameter": (["-p", "siez=3"], 2, "Buys has no parameter 'siez'; did you mean size?"),
    "a parameter of the wrong kind": (["-p", "size=many"], 2, "size is a whole number (default 3), not 'many'"),
    "no configuration file": (["--config", "nowhere.yaml"], 2, "there is no configuration file nowhere.yaml"),
    "unknown endpoint": (["--mode", "paper", "--endpoint", "kiet"], 2, "kiet"),
    "missing credential": (["--mode", "paper", "--endpoint", "kite"], 2, "no api_key is known: set KITE_API_KEY"),
    "limits no lot can pass": (
        ["--mode", "live", "--confirm", "SIM001", "--capital", "100"], 2, "not even one lot of NSE:RELIANCE"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence_and_a_code(btkite: Btkite, case: str, own_folder: Path) -> None:
    given, code, sentence = BAD[case]
    symbol = [] if "-s" in given else ["-s", "RELIANCE"]
    interval = [] if "-i" in given else ["-i", "15minute"]
    found, _, err = btkite("mine.py:Buys", *symbol, *interval, *given)
    assert found == code
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert "unexpected" not in err
    assert not (own_folder / "runs").exists()


def test_a_strategy_file_that_does_not_import_is_one_sentence(btkite: Btkite, own_folder: Path) -> None:
    (own_folder / "bad.py").write_text("import nothing_of_this_name\n")
    code, out, err = btkite("bad.py:S", "-s", "RELIANCE")
    assert (code, out) == (2, "")
    assert err == (
        f"error: {own_folder / 'bad.py'} cannot be imported (line 1): "
        "ModuleNotFoundError: No module named 'nothing_of_this_name'\n"
    )


def test_a_misspelt_configuration_key_is_one_sentence(btkite: Btkite, own_folder: Path) -> None:
    (own_folder / "config.yaml").write_text("risk:\n  max_positon_pct: 5\n")
    code, _, err = btkite("mine.py", "-s", "RELIANCE")
    assert (code, err.count("\n")) == (2, 1)
    assert "risk.max_positon_pct" in err
    assert "did you mean risk.max_position_pct?" in err


def test_an_expired_token_is_exit_code_4(btkite: Btkite, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITE_API_KEY", "simulator")
    monkeypatch.setenv("KITE_USER_ID", "SIM001")
    monkeypatch.setenv("KITE_ACCESS_TOKEN", TOKEN)
    given = ("mine.py", "-s", "RELIANCE", "-i", "15minute", "--endpoint", exchange.url, "--no-save")
    exchange.issue_token()  # the one before it is dead
    for more in (["--mode", "paper"], ["--mode", "live", "--confirm", "SIM001"]):
        code, _, err = btkite(*given, *more)
        assert code == 4
        assert err.count("error: ") == 1
        assert "btkite login" in err


def test_no_token_is_exit_code_4(btkite: Btkite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITE_API_KEY", "abcdefgh")
    code, _, err = btkite("mine.py", "-s", "RELIANCE", "--mode", "paper", "--endpoint", "kite")
    assert (code, err) == (4, "error: there is no access token of today: run `btkite login`\n")


def test_a_port_in_use_is_one_sentence(btkite: Btkite, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = main(["exchange", "--port", str(port)])
        assert code != 0
    server = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.BaseHTTPRequestHandler);"
    script = f"{server} print(s.server_port, flush=True); s.serve_forever()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        assert other.stdout is not None
        monkeypatch.setenv("BTKITE_EXCHANGE__PORT", other.stdout.readline().decode().strip())
        try:
            code, _, err = btkite("mine.py", "-s", "RELIANCE", "--mode", "paper")
        finally:
            other.terminate()
    assert code == 2
    assert "is in use by something that is no simulated exchange" in err


def test_a_quantity_off_the_lot_is_exit_code_1(btkite: Btkite, own_folder: Path) -> None:
    future = "NFO:NIFTY26NOVFUT"
    candles, begin = simulator.made_up([future], "15minute", seed=3, sessions=1)
    CandleCache(own_folder / "candles").write(candles[future], facts={"lot_size": 65})
    given = ("mine.py", "-s", future, "-i", "15minute", "--from", f"{begin:%Y-%m-%d}", "--capital", 1e8, "--no-save")
    code, out, err = btkite(*given)
    assert code == 1
    assert "× lot size" in out.split("\n\n", 1)[1].splitlines()[0]
    assert err == (
        "error: the strategy gave orders that no market takes: quantity 3 is not a multiple of "
        f"{future}'s lot of 65: use 65\n"
    )


def test_a_halted_gate_is_exit_code_3(btkite: Btkite, own_folder: Path, day: str) -> None:
    KillSwitch(own_folder / "state" / "btkite" / "simulator" / "SIM001" / "live" / "kill").engage("by hand")
    code, out, err = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--mode", "live",
                            "--confirm", "SIM001", "--no-save")  # fmt: skip
    assert code == 3
    assert "\nhalted: the kill switch is engaged (by hand)\n" in out
    *_, last = err.splitlines()  # the run may have had the time to say that it heeds the switch
    assert last == "error: the risk gate is halted: the kill switch is engaged (by hand)"


def test_an_account_in_use_is_exit_code_5(btkite: Btkite, own_folder: Path, day: str) -> None:
    lock = own_folder / "state" / "btkite" / "simulator" / "SIM001" / "paper" / "lock"
    with AccountLock(lock, SystemClock(), command="btkite of somebody"):
        code, _, err = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--mode", "paper")
    assert code == 5
    assert err.startswith("error: another process runs this account: btkite of somebody, pid ")


SYMBOL_NEEDED = "`btkite run` needs --symbol SYMBOL: NSE:INFY, or INFY on NSE; may be given several times"
MISUSED = {
    "no symbol": (["mine.py"], SYMBOL_NEEDED),
    "no strategy": (["-s", "INFY"], "`btkite run` needs STRATEGY: path/file.py:Class, or module:Class"),
    "no number": (["mine.py", "-s", "INFY", "--warmup", "many"], "--warmup takes a whole number"),
    "no such option": (["mine.py", "-s", "INFY", "--nope"], "no such option: --nope"),
    "one word too many": (["mine.py", "RELIANCE", "-s", "INFY"], "extra argument"),
}


@pytest.mark.parametrize("case", MISUSED)
def test_a_command_that_is_not_understood_is_one_sentence_and_exit_code_2(btkite: Btkite, case: str) -> None:
    given, sentence = MISUSED[case]
    code, out, err = btkite(*given)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_position_held_overnight_as_intraday_is_said_before_the_figures(btkite: Btkite, day: str) -> None:
    code, out, _ = btkite("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--no-save")
    assert code == 0
    result = out.split("\n\n", 1)[1].splitlines()
    assert result[0].startswith(f"MIS held overnight: 3 NSE:RELIANCE on {day}; Kite squares MIS off")


@pytest.mark.skipif(sys.platform == "win32", reason="a signal to one process is POSIX")
def test_ctrl_c_stops_a_live_run_and_says_what_is_open(day: str, own_folder: Path) -> None:
    environment = {**os.environ, "BTKITE_EXCHANGE__SPEED": "3000"}
    command = [sys.executable, "-m", "btkite", "run", "mine.py:Buys", "-s", "RELIANCE", "-i", "15minute", "--from", day]
    more = ["--mode", "live", "--confirm", "SIM001", "--no-save"]
    with subprocess.Popen(
        [*command, *more], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        before = []
        for line in running.stdout:
            before.append(line)
            if "Market: filled" in line:
                break
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "filled at ₹" in before[-1]
    assert "ended early: Ctrl-C\n" in err
    assert "Traceback" not in err
    still = next(line for line in out.splitlines() if line.startswith("still open: "))
    assert "position 3 NSE:RELIANCE at ₹" in still
    assert "order BUY 2 NSE:RELIANCE Limit ₹" in still


def test_made_up_candles_beside_a_served_exchange_are_refused_by_the_names_of_the_flag(
    btkite: Btkite, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTKITE_EXCHANGE__PORT", str(exchange.port))
    code, _, err = btkite(SMA, "-s", "RELIANCE", "--made-up", "--mode", "paper")
    assert code == 2
    assert err == (
        f"error: prices come from the exchange that serves on {exchange.url}: "
        'leave --made-up (source="made-up" in Python) out, or end that exchange\n'
    )


def test_too_few_bars_for_the_indicators_are_said_before_the_figures(btkite: Btkite) -> None:
    code, out, err = btkite(SMA, "-s", "RELIANCE", "-i", "15minute", "-p", "slow=500")
    assert (code, err) == (0, "")
    assert "SmaCross never came to trade: its indicators need 501 bars of NSE:RELIANCE, and there were " in out


def test_what_a_backtest_has_no_use_for_is_said(btkite: Btkite, day: str) -> None:
    given = ("mine.py", "-s", "RELIANCE", "-i", "15minute", "--from", day, "--to", day, "--no-save")
    code, _, err = btkite(*given, "--sessions", 1, "--confirm", "SIM001")
    assert code == 0
    assert err == (
        "note: a backtest has no use for --sessions: --to ends it\n"
        "note: a backtest has no use for --confirm: it sends no order\n"
    )
    assert btkite(*given, "--mode", "paper", "--sessions", 1)[2] == ""


def test_another_seed_makes_up_other_candles(btkite: Btkite) -> None:
    given = ("mine.py", "-s", "RELIANCE", "-i", "15minute", "--made-up", "--no-save")
    assert "MADE-UP candles, seed 8" in btkite(*given, "--seed", 8)[1]


def test_the_product_can_be_said(btkite: Btkite) -> None:
    given = ("mine.py", "-s", "RELIANCE", "-i", "15minute", "--made-up", "--no-save")
    assert "product   CNC" in btkite(*given, "--product", "CNC")[1]
    code, _, err = btkite(*given, "--product", "XYZ")
    assert (code, "one of MIS, CNC, NRML, MTF" in err) == (2, True)


def test_a_run_that_fails_shows_its_result_and_ends_with_the_error(btkite: Btkite, own_folder: Path) -> None:
    (own_folder / "falls.py").write_text(
        "import backtrader as bt\n\n\nclass Falls(bt.Strategy):\n    def next(self):\n"
        "        if len(self) == 5:\n            raise ValueError('out of luck')\n"
    )
    given = ("falls.py", "-s", "RELIANCE", "-i", "15minute", "--made-up")
    code, out, err = btkite(*given)
    assert code == 1
    assert out.split("\n\n", 1)[1].startswith("ended early: Falls failed at falls.py:7 with ValueError: out of luck\n")
    assert "report: " in out
    assert err.startswith("error: Falls failed at falls.py:7")
    code, out, _ = btkite(*given, "--json")
    assert (code, json.loads(out)["exit_code"]) == (1, 1)

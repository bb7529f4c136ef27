"""One strategy in three modes through ``btkite.run``, and everything that it refuses before it starts."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import backtrader as bt
import pytest

import btkite
from btkite import runs, simulator
from btkite.candles import CandleCache
from btkite.clock import SystemClock
from btkite.config import Config
from btkite.errors import AccountLocked, BtkiteError, ConfigError, DataError, SessionExpired, UnknownSymbol
from btkite.exchange import CandleSeries, Exchange, ExchangeSettings
from btkite.journal import AccountLock
from btkite.risk.gate import KillSwitch
from btkite.series import Candles

SYMBOL = "NSE:RELIANCE"
FUTURE = "NFO:NIFTY26NOVFUT"
INTERVAL = "15minute"
WARMUP = 25  # one session of quarters of an hour
TOKEN = "token-of-the-served-exchange"
USER = "SIM001"
MODES = ("backtest", "paper", "live")
ORDER_ROUTES = ("POST", "PUT", "DELETE")


class InAndOut(bt.Strategy):
    """Buys at market, puts a stop below, leaves after three bars; all day."""

    params = (("size", 5),)

    def __init__(self) -> None:
        self.since, self.exit = 0, None

    def next(self) -> None:
        if not self.position:
            self.since = len(self)
            self.buy(size=self.p.size)
            self.exit = self.sell(size=self.p.size, exectype=bt.Order.Stop, price=self.data.close[0] * 0.95)
        elif len(self) - self.since == 3:
            self.cancel(self.exit)
            self.close()


class LeavesOpen(bt.Strategy):
    """A position and a limit order that nobody takes."""

    def next(self) -> None:
        if not self.position:
            self.buy(size=3)
            self.buy(size=2, exectype=bt.Order.Limit, price=self.data.close[0] * 0.9)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Candles], datetime]:
    """Candles of two symbols: sessions to warm up, then two that are traded."""
    return simulator.made_up([SYMBOL, "NSE:INFY"], INTERVAL, seed=3, warmup=WARMUP, sessions=2)


@pytest.fixture
def begin(made: tuple[dict[str, Candles], datetime]) -> datetime:
    return made[1]


@pytest.fixture
def config(tmp_path: Path, made: tuple[dict[str, Candles], datetime], monkeypatch: pytest.MonkeyPatch) -> Config:
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    cache = CandleCache(tmp_path / "candles")
    for one in made[0].values():
        cache.write(one)
    return empty(tmp_path).with_(**{"data.cache": str(tmp_path / "candles")})


def empty(folder: Path) -> Config:
    """Nothing stored, nothing served, everything below ``folder``."""
    return Config().with_(
        **{
            "data.cache": str(folder / "nothing"),
            "data.warmup": WARMUP,
            "paths.state": str(folder / "state"),
            "paths.runs": str(folder / "runs"),
            "exchange.port": 0,
        }
    )


def go(config: Config, strategy: Any = InAndOut, symbols: Any = SYMBOL, **given: Any) -> btkite.RunResult:
    given = {"interval": INTERVAL, "confirm": USER, **given}
    return btkite.run(strategy, symbols, config=config, **given)


@contextmanager
def served(made: tuple[dict[str, Candles], datetime], **settings: Any) -> Iterator[Exchange]:
    """An exchange that somebody else has started on the stored candles."""
    candles = {
        key: CandleSeries(
            interval=one.interval, start=one.start, open=one.open, high=one.high, low=one.low, close=one.close,
            volume=one.volume,
        )
        for key, one in made[0].items()
    }  # fmt: skip
    start = made[1] + timedelta(hours=9)
    given = {"user_id": USER, "api_key": "simulator", "auto_token": TOKEN, "expire_tokens": False, **settings}
    with Exchange(ExchangeSettings(candles=candles, start=start, **given)) as exchange:
        yield exchange


def at(config: Config, exchange: Exchange, **more: Any) -> Config:
    return config.with_(
        **{
            "broker.kite_connect.endpoint": exchange.url,
            "broker.kite_connect.api_key": "simulator",
            "broker.kite_connect.access_token": TOKEN,
            "broker.kite_connect.user_id": USER,
            **more,
        }
    )


def requests(exchange: Exchange) -> list[tuple[str, str]]:
    """Method and path of everything that Kite's wire was asked: the exchange's own record."""
    parts = urlsplit(exchange.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/_exchange/requests")
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    found = answer["data"]
    rows = found["requests"] if isinstance(found, dict) else found
    return [(row["method"], row["path"]) for row in rows]


def orders_sent(exchange: Exchange) -> list[tuple[str, str]]:
    return [row for row in requests(exchange) if row[0] in ORDER_ROUTES and row[1].startswith("/orders")]


# ---- three modes -----------------------------------------------------------------------------------


def test_the_three_modes_of_one_flag_give_the_same_orders_and_trades(config: Config, begin: datetime) -> None:
    found = [go(config, mode=mode, start=begin) for mode in MODES]
    assert len(found[0].trades) > 5
    assert len({one.orders_digest for one in found}) == 1
    assert len({one.trades_digest for one in found}) == 1
    assert {one.stats["end_value"] for one in found} == {found[0].stats["end_value"]}
    assert [one.mode for one in found] == ["backtest", "paper", "live"]
    assert found[2].engine == "orders on simulator"


def test_without_a_start_the_first_bars_warm_up_in_every_mode(config: Config) -> None:
    found = [go(config, mode=mode) for mode in ("backtest", "paper")]
    first = {one.equity["datetime"].iloc[0] for one in found}
    assert len(first) == 1
    assert len({one.orders_digest for one in found}) == 1
    stored = CandleCache(Path(config.data.cache)).read(SYMBOL, INTERVAL)
    assert len(found[0].equity) == len(stored) - WARMUP


def test_two_symbols_run_together(config: Config, begin: datetime) -> None:
    class Both(InAndOut):
        def next(self) -> None:
            for data in self.datas:
                if not self.getposition(data):
                    self.buy(data, size=2)
                elif len(data) % 4 == 0:
                    self.close(data)

    found = [go(config, Both, [SYMBOL, "INFY", "reliance"], mode=mode, start=begin) for mode in ("backtest", "live")]
    assert found[0].symbols == (SYMBOL, "NSE:INFY")
    assert set(found[0].trades["symbol"]) == {SYMBOL, "NSE:INFY"}
    assert found[0].orders_digest == found[1].orders_digest


def test_a_strategy_named_by_its_file_takes_parameters(config: Config, begin: datetime, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import backtrader as bt\n\nclass Mine(bt.Strategy):\n    params = (('size', 1),)\n\n"
        "    def next(self):\n        if not self.position:\n            self.buy(size=self.p.size)\n"
    )
    result = go(config, "mine.py:Mine", start=begin, params={"size": 4})
    assert result.strategy == "Mine"
    assert list(result.orders["size"]) == [4]
    with pytest.raises(ConfigError, match="did you mean size"):
        go(config, "mine.py:Mine", params={"siez": 4})


def test_a_backtest_opens_no_socket(config: Config, begin: datetime, socket_disabled: None) -> None:
    assert len(go(config, start=begin).trades) > 5


def test_candles_may_be_brought_along(config: Config, begin: datetime, made: Any, tmp_path: Path) -> None:
    stored = go(config, start=begin)
    frame = made[0][SYMBOL].frame()
    brought = go(empty(tmp_path), start=begin, source={SYMBOL: frame})
    assert brought.orders_digest == stored.orders_digest
    paper = go(empty(tmp_path), start=begin, source=frame, mode="paper")
    assert paper.orders_digest == stored.orders_digest


def test_the_built_in_exchange_ends_with_the_run(config: Config, begin: datetime) -> None:
    before = set(threading.enumerate())
    found: list[str] = []

    class Looks(InAndOut):
        def start(self) -> None:
            found.append(self.data._store.endpoint.rest_root)

    go(config, Looks, mode="live", start=begin)
    assert simulator.find(found[0]) is None
    assert [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()] == []


def test_the_built_in_exchange_is_there_while_it_runs(config: Config, begin: datetime) -> None:
    found: list[Any] = []

    class Looks(InAndOut):
        def stop(self) -> None:
            found.append(simulator.find(self.data._store.endpoint.rest_root))

    go(config, Looks, mode="paper", start=begin)
    assert found[0].lockstep
    assert found[0].now.date() > begin.date()


def shared_minutes(symbol: str) -> Path:
    """A real file of minute candles beside the repository; the test is skipped without it."""
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("BTKITE_SHARED") or repository.parent / "shared") / "data" / "minute"
    found = sorted(folder.glob(f"{symbol}_minute_*.parquet"))
    if not found:
        pytest.skip(f"no minute candles of {symbol} in {folder}")
    return found[0]


@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["RELIANCE", "INFY", "SBIN"])
def test_real_minutes_give_one_answer_in_three_modes(symbol: str, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_parquet(shared_minutes(symbol))
    strategy = Path(__file__).resolve().parents[1] / "strategies" / "sma_cross.py"
    given = {"interval": "minute", "start": "2016-08-22", "end": "2016-08-22", "source": frame, "warmup": 60}
    found = [go(empty(tmp_path), f"{strategy}:SmaCross", symbol, mode=mode, **given) for mode in MODES]
    assert len(found[0].trades) > 3
    assert len({(one.orders_digest, one.trades_digest, one.stats["end_value"]) for one in found}) == 1


# ---- what is sent ----------------------------------------------------------------------------------


def test_paper_sends_no_order_and_live_does(config: Config, made: Any) -> None:
    with served(made) as exchange:
        paper = go(at(config, exchange), mode="paper")
        assert len(paper.trades) > 5
        assert orders_sent(exchange) == []
        assert ("GET", "/instruments") in requests(exchange)
    with served(made) as exchange:
        live = go(at(config, exchange), mode="live")
        assert len(orders_sent(exchange)) >= len(live.orders)
    assert live.orders_digest == paper.orders_digest


def test_live_without_its_account_said_aloud_asks_nobody_anything(config: Config, made: Any) -> None:
    with served(made) as exchange:
        with pytest.raises(ConfigError, match=r"say so with --confirm SIM001 .* nothing was sent"):
            go(at(config, exchange), mode="live", confirm=None)
        with pytest.raises(ConfigError, match="the account is SIM001, not AB1234: nothing was sent"):
            go(at(config, exchange), mode="live", confirm="AB1234")
        with pytest.raises(ConfigError, match="whose account"):
            go(at(config, exchange, **{"broker.kite_connect.user_id": ""}), mode="live")
        assert requests(exchange) == []
        go(at(config, exchange), mode="live")
        assert requests(exchange) != []


def test_live_on_the_built_in_exchange_needs_its_account_too(config: Config, begin: datetime) -> None:
    with pytest.raises(ConfigError, match="--confirm SIM001"):
        go(config, mode="live", start=begin, confirm=None)


def test_a_token_of_somebody_else_is_refused(config: Config, made: Any) -> None:
    with served(made) as exchange:
        other = at(config, exchange, **{"broker.kite_connect.user_id": "AB1234"})
        with pytest.raises(ConfigError, match="the access token is SIM001's, not AB1234's"):
            go(other, mode="live", confirm="AB1234")
        assert orders_sent(exchange) == []


def test_a_dead_token_ends_a_run_before_it_starts(config: Config, made: Any) -> None:
    with served(made) as exchange:
        dead = at(config, exchange, **{"broker.kite_connect.access_token": "of-yesterday"})
        for mode in ("paper", "live"):
            with pytest.raises(SessionExpired, match="btkite login"):
                go(dead, mode=mode)


def test_limits_under_which_no_lot_can_pass_stop_a_live_run_before_it_starts(
    config: Config, begin: datetime, made: Any
) -> None:
    with pytest.raises(ConfigError, match=r"not even one lot of NSE:RELIANCE .*\(risk\.max_position_pct\); nothing"):
        go(config, mode="live", start=begin, capital=1000)
    with served(made) as exchange:
        with pytest.raises(ConfigError, match="not even one lot"):
            go(at(config, exchange), mode="live", capital=1000)
        assert orders_sent(exchange) == []
    assert not (Path(config.paths.runs)).exists()


# ---- prices ------------------------------------------------------------------------------------------


def test_with_nothing_stored_prices_are_made_up_and_the_banner_says_so(tmp_path: Path) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, mode="paper", interval=INTERVAL, config=empty(tmp_path))
    assert "MADE-UP candles, seed 7" in dict(plan.banner())["endpoint"]
    first, second = plan.go(), go(empty(tmp_path), mode="live")
    assert len(first.trades) > 5
    assert first.orders_digest == second.orders_digest


def test_prices_are_not_made_up_where_others_were_asked_for(tmp_path: Path, config: Config) -> None:
    with pytest.raises(UnknownSymbol, match="btkite data fetch"):
        go(empty(tmp_path), mode="paper", start="2026-11-04")
    with pytest.raises(UnknownSymbol):
        go(empty(tmp_path))
    with pytest.raises(UnknownSymbol, match="NSE:TCS"):
        go(config, symbols=[SYMBOL, "TCS"], mode="paper")
    with pytest.raises(UnknownSymbol, match=r"neither stored nor one of exchange\.symbols; did you mean NSE:INFY\?"):
        go(config, symbols="NSE:INFI", mode="paper")


def test_made_up_prices_that_are_asked_for_are_the_same_in_every_mode(tmp_path: Path) -> None:
    option = "NFO:NIFTY26NOV26000CE"
    rich = empty(tmp_path).with_(**{"broker.capital": 1e8})
    found = [
        go(rich, symbols=option, mode=mode, source="made-up", params={"size": 65}) for mode in ("backtest", "live")
    ]
    assert len(found[0].trades) > 5
    assert found[0].orders_digest == found[1].orders_digest
    assert go(rich, symbols=option, source="made-up", params={"size": 7}).mistake
    with pytest.raises(ConfigError, match="days of their own"):
        go(rich, source="made-up", start="2026-11-04")
    with pytest.raises(ConfigError, match="write EXCHANGE:TRADINGSYMBOL"):
        go(rich, symbols="NYSE:IBM", source="made-up")


def test_a_range_without_data_says_what_there_is(config: Config) -> None:
    for mode in ("backtest", "paper"):
        with pytest.raises(DataError, match="is stored from 2026-"):
            go(config, mode=mode, start="2020-01-01", end="2020-02-01")
    with pytest.raises(ConfigError, match="the end must come after the start"):
        go(config, start="2026-11-05", end="2026-11-04")


def test_a_market_that_is_served_goes_by_its_own_clock(config: Config, made: Any) -> None:
    with served(made) as exchange, pytest.raises(ConfigError, match="goes by its own clock"):
        go(at(config, exchange), mode="paper", start="2026-11-04")


def test_a_served_exchange_is_found_at_the_configured_port(config: Config, made: Any) -> None:
    with served(made) as exchange:
        here = config.with_(**{"exchange.port": exchange.port, "broker.kite_connect.access_token": TOKEN})
        plan = runs.prepare(InAndOut, SYMBOL, mode="live", interval=INTERVAL, config=here, confirm=USER)
        assert not plan.starts_exchange
        assert dict(plan.banner())["endpoint"] == exchange.url
        result = plan.go()
        assert len(orders_sent(exchange)) >= len(result.orders) > 0


def test_a_served_exchange_on_a_running_clock_is_followed(config: Config, made: Any) -> None:
    with served(made, speed=20_000.0) as exchange:
        plan = runs.prepare(InAndOut, SYMBOL, mode="paper", interval=INTERVAL, config=at(config, exchange))
        assert plan.config.exchange.speed == "realtime"
        assert plan.market is not None
        assert not plan.market.lockstep


def test_nobody_at_an_address_is_one_sentence(config: Config, made: Any) -> None:
    with served(made) as exchange:
        there = at(config, exchange)
    with pytest.raises(ConfigError, match=r"nobody serves an exchange on .* start it with `btkite exchange`"):
        go(there, mode="paper")


def test_a_port_in_use_by_something_else_is_one_sentence(config: Config) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(ConfigError, match=r"is in use by something that is no simulated exchange"):
            go(config.with_(**{"exchange.port": server.server_port}), mode="paper")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_no_session_at_kite_is_one_sentence(config: Config) -> None:
    with pytest.raises(ConfigError, match="KITE_API_KEY"):
        go(config, mode="paper", endpoint="kite")
    with pytest.raises(SessionExpired, match="btkite login"):
        go(config.with_(**{"broker.kite_connect.api_key": "abcdefgh"}), mode="paper", endpoint="kite")


# ---- limits, locks, ends -------------------------------------------------------------------------------


def test_denied_orders_are_the_first_thing_a_result_says(config: Config, begin: datetime) -> None:
    result = go(config, start=begin, params={"size": 50})
    assert result.denied.startswith(f"{len(result.orders)} of {len(result.orders)} orders denied: max position 10 %")
    assert "(risk.max_position_pct)" in result.denied
    assert result.exit_code == 0


@pytest.mark.parametrize("mode", ["backtest", "live"])
def test_a_passed_loss_limit_is_exit_code_3(config: Config, begin: datetime, mode: str) -> None:
    tight = config.with_(**{"risk.max_portfolio_loss_pct": 0.001})
    result = go(tight, mode=mode, start=begin)
    assert "of the capital are lost, the limit is ₹1.00" in result.halted
    assert result.exit_code == 3


def test_the_kill_switch_stops_entries_and_is_exit_code_3(config: Config, begin: datetime) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, mode="live", interval=INTERVAL, start=begin, config=config, confirm=USER)
    KillSwitch(plan.folder / "kill").engage("test")
    result = plan.go()
    assert set(result.orders["status"]) == {"Rejected"}
    assert "the kill switch is engaged (test)" in result.halted
    assert result.exit_code == 3
    assert go(config, start=begin).exit_code == 0, "history knows no kill switch"


def test_an_account_that_another_process_runs_is_left_alone(config: Config, begin: datetime) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, mode="live", interval=INTERVAL, start=begin, config=config, confirm=USER)
    with AccountLock(plan.folder / "lock", SystemClock(), command="the other one"):
        with pytest.raises(AccountLocked, match="the other one"):
            plan.go()
        assert len(go(config, mode="paper", start=begin).orders) > 0, "paper is an account of its own"
    assert plan.folder == Path(config.paths.state) / "simulator" / USER / "live"
    assert len(plan.go().orders) > 0


def test_a_quantity_off_the_lot_is_the_strategys_mistake(tmp_path: Path) -> None:
    candles, begin = simulator.made_up([FUTURE], INTERVAL, seed=3, warmup=WARMUP, sessions=1)
    CandleCache(tmp_path / "nothing").write(candles[FUTURE], facts={"lot_size": 65})
    rich = empty(tmp_path).with_(**{"broker.capital": 1e8})
    for mode in ("backtest", "live"):
        result = go(rich, symbols=FUTURE, mode=mode, start=begin, params={"size": 7})
        assert result.mistake.startswith(f"quantity 7 is not a multiple of {FUTURE}'s lot of 65")
        assert result.exit_code == 1
        assert go(rich, symbols=FUTURE, mode=mode, start=begin, params={"size": 65}).exit_code == 0


def test_a_strategy_that_refuses_its_parameters_is_a_usage_error(config: Config, begin: datetime) -> None:
    class Picky(bt.Strategy):
        def __init__(self) -> None:
            raise ValueError("fast must be below slow")

    class Buggy(bt.Strategy):
        def next(self) -> None:
            raise ValueError("a bug")

    with pytest.raises(ConfigError, match="Picky does not start: fast must be below slow"):
        go(config, Picky, start=begin)
    with pytest.raises(BtkiteError, match=r"Buggy failed at test_runs\.py:\d+ with ValueError: a bug$"):
        go(config, Buggy, start=begin)


@pytest.mark.parametrize("mode", ["backtest", "paper", "live"])
def test_a_strategy_that_fails_says_what_is_still_open(config: Config, begin: datetime, mode: str) -> None:
    class Falls(LeavesOpen):
        def next(self) -> None:
            super().next()
            if self.position:
                raise ZeroDivisionError("no")

    with pytest.raises(
        BtkiteError, match=r"Falls failed at .* ZeroDivisionError: no; still open: .*position 3 NSE:REL"
    ):
        go(config, Falls, mode=mode, start=begin)


@pytest.mark.parametrize("mode", ["backtest", "paper", "live"])
def test_a_product_that_the_segment_lacks_is_denied_in_every_mode(config: Config, begin: datetime, mode: str) -> None:
    class Wrong(bt.Strategy):
        given = False

        def next(self) -> None:
            if not self.given:
                self.given = True
                self.buy(size=1, product="NRML")

    result = go(config, Wrong, mode=mode, start=begin)
    assert "NRML is no product of NSE:RELIANCE: use CNC, MIS or MTF" in str(result.orders["denied"].iloc[0])


@pytest.mark.parametrize("mode", ["backtest", "paper", "live"])
def test_what_is_still_open_is_said(config: Config, begin: datetime, mode: str) -> None:
    result = go(config, LeavesOpen, mode=mode, start=begin)
    assert [line for line in result.left_open if line.startswith("position 3 NSE:RELIANCE at ₹")]


def test_ctrl_c_ends_a_live_run_cleanly_and_says_what_is_open(config: Config, begin: datetime) -> None:
    class Interrupts(LeavesOpen):
        def next(self) -> None:
            super().next()
            if self.position:
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    result = go(config, Interrupts, mode="live", start=begin)
    assert signal.getsignal(signal.SIGINT) is before
    assert (result.stopped, result.exit_code) == ("Ctrl-C", 130)
    assert len(result.equity) < 5
    order = next(line for line in result.left_open if line.startswith("order BUY 2 NSE:RELIANCE Limit ₹"))
    assert "Accepted, Kite " in order
    assert any(line.startswith("position 3 ") for line in result.left_open)


def test_ctrl_c_in_a_backtest_is_an_ordinary_interrupt(config: Config, begin: datetime) -> None:
    class Interrupts(bt.Strategy):
        def next(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        go(config, Interrupts, start=begin)


def test_a_run_ends_after_its_sessions(config: Config, begin: datetime) -> None:
    whole, one = go(config, mode="paper", start=begin), go(config, mode="paper", start=begin, sessions=1)
    assert len({moment.date() for moment in whole.equity["datetime"]}) == 2
    assert len({moment.date() for moment in one.equity["datetime"]}) == 1


def test_what_happens_to_orders_is_told_as_it_happens(config: Config, begin: datetime) -> None:
    told: list[list[tuple[datetime, str]]] = []
    for mode in ("paper", "live"):
        lines: list[tuple[datetime, str]] = []
        go(config, mode=mode, start=begin, tell=lambda when, line, to=lines: to.append((when, line)))
        told.append([row for row in lines if "filled" in row[1]])
    assert told[0] == told[1]
    assert lines[0][0].date() == begin.date()
    assert lines[0][1].startswith("BUY 5 NSE:RELIANCE Market: filled at ₹")
    assert [line for _, line in lines if line.startswith("SELL 5 NSE:RELIANCE Stop ₹") and line.endswith("canceled")]


# ---- the folder ----------------------------------------------------------------------------------------


def test_a_saved_run_leaves_its_folder(config: Config, begin: datetime) -> None:
    result = go(config, mode="paper", start=begin, save=True, report=False)
    assert result.folder is not None
    assert result.folder.parent == Path(config.paths.runs)
    names = {path.name for path in result.folder.iterdir()}
    assert names >= {"config.yaml", "versions.json", "data.json", "orders.csv", "trades.csv", "stats.json", "run.log"}
    assert "report.html" not in names
    kept = json.loads((result.folder / "stats.json").read_text(encoding="utf-8"))
    assert kept["exit_code"] == 0
    assert '"event": "end"' in (result.folder / "run.log").read_text(encoding="utf-8")
    other = go(config, start=begin, save=True, report=False)
    assert other.folder is not None
    hashes = [(one / "data.json").read_text() for one in (result.folder, other.folder)]
    assert hashes[0] == hashes[1] != "{}\n", "the same candles in both modes"


def test_no_secret_is_in_the_folder(config: Config, made: Any) -> None:
    with served(made) as exchange:
        result = go(at(config, exchange), mode="live", save=True)
    assert result.folder is not None
    for path in result.folder.iterdir():
        assert TOKEN.encode() not in path.read_bytes(), path.name


def test_a_run_is_not_kept_unless_asked(config: Config, begin: datetime) -> None:
    assert go(config, start=begin).folder is None
    assert not Path(config.paths.runs).exists()


def test_an_account_on_a_served_exchange_goes_on_until_its_market_begins_anew(tmp_path):
    from datetime import datetime

    from btkite.clock import ManualClock
    from btkite.runs import account_record

    path = tmp_path / "journal.sqlite"
    with account_record(path, ManualClock(datetime(2024, 7, 1, 10))) as record:
        record.journal.append("order", {"refs": [1]})
    with account_record(path, ManualClock(datetime(2024, 7, 1, 11))) as record:
        assert len(record.journal.events()) == 1
    with account_record(path, ManualClock(datetime(2024, 7, 1, 9))) as record:
        assert record.journal.events() == []
    assert len(list(tmp_path.glob("journal-*.sqlite"))) == 1

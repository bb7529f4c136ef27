"""The verbs that ask the account and the market: tables for people, JSON for scripts, and no order sent."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import backtrader as bt
import pytest

import btkite as package
from btkite.exchange import Exchange, ExchangeSettings
from btkite.simulator import candle_series, made_up

SYMBOL = "NSE:RELIANCE"
TOKEN = "token-of-the-served-exchange"
Btkite = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    monkeypatch.setenv("BTKITE_BROKER__SQUARE_OFF", "null")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    """A market with a day behind it, a holding, and credentials for it in the environment."""
    candles, begin = made_up([SYMBOL], "15minute", seed=3, warmup=20, sessions=1)
    series = candle_series(candles[SYMBOL])
    settings = ExchangeSettings(
        candles={SYMBOL: series},
        start=begin + timedelta(hours=9),
        auto_token=TOKEN,
        api_key="simulator",
        holdings={SYMBOL: (1200, 1345.5)},
    )
    with Exchange(settings) as running:
        monkeypatch.setenv("BTKITE_EXCHANGE__PORT", str(running.port))
        monkeypatch.setenv("KITE_ACCESS_TOKEN", TOKEN)
        yield running


class BuysOnce(bt.Strategy):
    def next(self) -> None:
        if not self.position and len(self) == 1:
            self.buy(size=5)
            self.buy(size=1, exectype=bt.Order.Limit, price=self.data.close[0] * 0.95)


@pytest.fixture
def traded(exchange: Exchange, own_folder: Path) -> Exchange:
    config = package.load_config(overrides={"data.warmup": 0})
    package.run(BuysOnce, SYMBOL, interval="15minute", mode="live", confirm="SIM001", config=config)
    return exchange


def test_profile_says_who_is_logged_in(btkite: Btkite, exchange: Exchange) -> None:
    code, out, err = btkite("profile")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == ["user id    SIM001", "user name  Simulated User"]
    assert json.loads(btkite("profile", "--json")[1])["user_id"] == "SIM001"


def test_quote_prints_the_days_prices(btkite: Btkite, traded: Exchange) -> None:
    code, out, _ = btkite("quote", "RELIANCE")
    assert code == 0
    row = next(line for line in out.splitlines() if SYMBOL in line)
    assert len(re.findall(r"1,[3-6]\d\d\.\d\d", row)) == 7
    found = json.loads(btkite("quote", "nse:reliance", "--json")[1])
    assert found[SYMBOL]["last_price"] > 1000


def test_orders_and_positions_are_what_the_exchange_has(btkite: Btkite, traded: Exchange) -> None:
    _, out, _ = btkite("orders")
    filled = next(line for line in out.splitlines() if "COMPLETE" in line)
    assert "BUY" in filled
    assert "5 of 5" in filled
    rows = json.loads(btkite("orders", "--json")[1])
    assert [row["order_type"] for row in rows] == ["MARKET", "LIMIT"]
    assert "raw" not in rows[0]
    datetime.fromisoformat(rows[0]["order_time"])
    _, out, _ = btkite("positions")
    row = next(line for line in out.splitlines() if SYMBOL in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][:3] == [SYMBOL, "MIS", "5"]
    assert json.loads(btkite("positions", "--json")[1])[0]["quantity"] == 5


def test_holdings_and_margins_have_indian_groups(btkite: Btkite, exchange: Exchange) -> None:
    _, out, _ = btkite("holdings")
    row = next(line for line in out.splitlines() if SYMBOL in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][:4] == [SYMBOL, "1,200", "0", "1,345.50"]
    _, out, _ = btkite("margins")
    assert re.search(r"│ equity +│ +10,00,000\.00 │ +0\.00 │ +10,00,000\.00 │", out)
    assert json.loads(btkite("margins", "--json")[1])["equity"]["net"] == 1_000_000.0
    assert json.loads(btkite("holdings", "--json")[1])[0]["quantity"] == 1200


def test_nothing_there_is_said_in_words(btkite: Btkite, exchange: Exchange) -> None:
    assert btkite("orders")[1] == "no orders today\n"
    assert btkite("positions")[1] == "no positions\n"
    assert json.loads(btkite("orders", "--json")[1]) == []


def test_what_is_wrong_is_one_sentence_and_a_code(
    btkite: Btkite, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = btkite("quote", "RELIANC")
    assert code == 2
    assert "did you mean NSE:RELIANCE?" in err
    monkeypatch.setenv("KITE_ACCESS_TOKEN", "of-yesterday")
    code, out, err = btkite("orders")
    assert (code, out) == (4, "")
    assert "btkite login" in err
    exchange.stop()
    code, _, err = btkite("margins")
    assert code == 2
    assert "nobody serves an exchange on http://127.0.0.1:" in err

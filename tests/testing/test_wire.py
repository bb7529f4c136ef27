from __future__ import annotations

from datetime import datetime

import backtrader as bt
import pytest
from kiteconnect import KiteConnect

from btkite.errors import ConfigError


class Holds(bt.Strategy):
    params = (("size", 2),)

    def next(self):
        if len(self) == 2:
            self.buy(size=self.p.size)
        elif len(self) == 5:
            self.close()


def client(kite_exchange):
    kite = KiteConnect(api_key=kite_exchange.api_key, root=kite_exchange.url)
    kite.set_access_token(kite_exchange.access_token)
    return kite


def test_the_official_client_is_let_in(kite_exchange, bars):
    kite_exchange.reset(bars("uptrend", symbol="NSE:INFY"))
    kite = client(kite_exchange)
    assert kite.profile()["user_id"] == kite_exchange.user_id
    assert [row["tradingsymbol"] for row in kite.instruments("NSE")] == ["INFY"]


def test_one_strategy_is_the_same_on_history_on_paper_and_live(kite_exchange, bars, run_strategy):
    market = bars("peak", count=12)
    outcomes = [
        run_strategy(Holds, market),
        kite_exchange.run_strategy(Holds, market, mode="paper"),
        kite_exchange.run_strategy(Holds, market, mode="live"),
    ]
    assert len(outcomes[0].fills) == 2
    assert [outcome.fills for outcome in outcomes] == [outcomes[0].fills] * 3
    assert [outcome.equity for outcome in outcomes] == [outcomes[0].equity] * 3


def test_paper_sends_no_order_and_live_sends_each_once(kite_exchange, bars):
    kite_exchange.run_strategy(Holds, bars("flat", count=8), mode="paper")
    assert [row for row in kite_exchange.requests() if row["path"].startswith("/orders")] == []
    assert kite_exchange.orders() == []
    kite_exchange.run_strategy(Holds, bars("flat", count=8), mode="live")
    sent = [row["method"] for row in kite_exchange.requests() if row["path"].startswith("/orders/regular")]
    assert sent == ["POST", "POST"]
    assert [row["status"] for row in kite_exchange.orders()] == ["COMPLETE", "COMPLETE"]


def test_each_test_begins_with_a_fresh_market(kite_exchange):
    assert kite_exchange.orders() == []
    assert kite_exchange.positions() == []
    assert kite_exchange.requests() == []


def test_the_market_begins_before_the_open_or_where_it_is_told(kite_exchange, bars):
    first = kite_exchange.run_strategy(Holds, bars("flat", count=10)).times[0]
    later = kite_exchange.run_strategy(Holds, bars("flat", count=10), start="2026-11-18 09:19").times[0]
    assert first == datetime(2026, 11, 18, 9, 16)
    assert later == datetime(2026, 11, 18, 9, 20)


def test_the_exchange_checks_what_it_is_asked_to_check(kite_exchange, bars):
    strict = {"check_margin": True, "cash": 100.0}
    outcome = kite_exchange.run_strategy(Holds, bars("flat", count=8), settings=strict)
    assert [order.status for order in outcome.orders] == ["Margin"]


def test_its_config_is_its_own(kite_exchange, monkeypatch):
    monkeypatch.setenv("KITE_API_KEY", "of-this-machine")
    config = kite_exchange.config(broker__carry=True, risk={"max_daily_trades": 3})
    assert config.broker.kite_connect.endpoint == kite_exchange.url
    assert config.broker.kite_connect.api_key == kite_exchange.api_key
    assert (config.broker.carry, config.risk.enabled, config.risk.max_daily_trades) == (True, True, 3)
    assert str(config.data.cache) != str(kite_exchange.reset("flat").config().data.cache)
    with pytest.raises(ConfigError, match="did you mean"):
        kite_exchange.config(broker__cary=True)


def test_a_store_by_hand_reads_the_market(kite_exchange, bars):
    kite_exchange.reset(bars("flat", symbol="NSE:INFY", price=1500.0), start="2026-11-18 10:00")
    store = kite_exchange.store()
    assert store.ltp("INFY") == {"NSE:INFY": 1500.0}
    assert store.armed

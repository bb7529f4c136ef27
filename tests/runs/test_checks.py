"""What is asked before orders may leave; the exchange's own record says what was sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from btkite.config import Config
from btkite.errors import ConfigError, SessionExpired
from btkite.exchange import InstrumentRow
from btkite.testing import Steering
from tests.runs.scene import (
    at,
    go,
    orders_sent,
    requests,
    served,
)


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


def test_live_refuses_a_dump_that_was_not_renewed(config: Config, made: Any, begin: datetime) -> None:
    """What expired yesterday is still in it, and its tokens may be somebody else's by now."""
    expired = [
        InstrumentRow(
            exchange="NFO",
            tradingsymbol=f"NIFTY26X{21000 + 50 * number}CE",
            name="NIFTY",
            expiry=begin.date() - timedelta(days=1),
            strike=21000 + 50 * number,
            lot_size=65,
            instrument_type="CE",
            segment="NFO-OPT",
        )
        for number in range(20)
    ]
    with served(made, instruments=expired) as exchange:
        Steering(exchange.url).arm("instruments_of_yesterday", times=0, missing=["NSE:NOBODY"])
        with pytest.raises(ConfigError, match="20 contracts of the instruments have expired before"):
            go(at(config, exchange), mode="live")
        assert orders_sent(exchange) == []
        go(at(config, exchange), mode="paper")
    with served(made, instruments=expired) as exchange:
        go(at(config, exchange), mode="live")
        assert orders_sent(exchange) != []

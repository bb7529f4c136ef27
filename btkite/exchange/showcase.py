"""A market in which every answer of Kite's has something to show: a share, a contract, a holding."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from .funds import Fund
from .instruments import describe
from .settings import ExchangeSettings

SHOWN = "NSE:INFY"
STREAMED = {"index": "NSE:NIFTY 50", "currency": "CDS:USDINR26DECFUT", "commodity": "NCO:GOLD26DECFUT"}
"""What is quoted and streamed beside it: an index, and contracts whose prices are scaled otherwise."""
_FUTURE = "NFO:NIFTY26DECFUT"
_DAY = date(2026, 11, 18)
_FUND = Fund(tradingsymbol="INF000S01018", amc="Simulated_MF", name="Simulated Equity Fund - Direct Plan")


def showcase(port: int = 0, postback_url: str | None = None) -> ExchangeSettings:
    """Generated candles at 240 × market time, a morning in November 2026, every rule of Kite's on."""
    return ExchangeSettings(
        port=port,
        seed=7,
        symbols=(SHOWN, *STREAMED.values(), _FUTURE),
        instruments=(replace(describe(STREAMED["commodity"], tick_size=1.0), multiplier=100.0),),
        generate_from=_DAY,
        generate_sessions=2,
        start=datetime(2026, 11, 18, 10, 0),
        speed=240.0,
        rate_limits=False,
        cash=1_00_00_000.0,
        holdings={SHOWN: (10, 1400.0)},
        auctions={SHOWN: "20"},
        funds=(_FUND,),
        refresh_tokens=True,
        postback_url=postback_url,
        fund_holdings={_FUND.tradingsymbol: (120.5, 40.25)},
    )

"""A market in which every answer of Kite's has something to show: a share, a contract, a holding."""

from __future__ import annotations

from datetime import date, datetime

from .settings import ExchangeSettings

SHOWN = "NSE:INFY"
_FUTURE = "NFO:NIFTY26DECFUT"
_DAY = date(2026, 11, 18)


def showcase(port: int = 0) -> ExchangeSettings:
    """Generated candles at 60 × market time, a morning in November 2026, every rule of Kite's on."""
    return ExchangeSettings(
        port=port,
        seed=7,
        symbols=(SHOWN, _FUTURE),
        generate_from=_DAY,
        generate_sessions=2,
        start=datetime(2026, 11, 18, 10, 0),
        speed=60.0,
        cash=1_00_00_000.0,
        holdings={SHOWN: (10, 1400.0)},
    )

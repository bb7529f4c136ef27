"""What can go wrong with the simulated exchange: our own mistakes, and Kite's *no*.

::

    ExchangeError
    ├ BadSettings   the settings or a control call make no sense; the message says what to change
    ├ BadCandles    the candles are missing or damaged
    ├ TooLarge      a figure does not fit into Kite's packets
    ├ PortInUse     another program listens on the port
    └ Refusal       an answer of Kite's own error shape, raised anywhere behind a route
"""

from __future__ import annotations

from typing import Any


class ExchangeError(Exception):
    """The root of the exchange's errors."""


class MarketBroke(ExchangeError):
    """The market cannot go on, by a fault of its own."""


class BadSettings(ExchangeError, ValueError):
    """Settings or a control call that make no sense."""


class BadCandles(ExchangeError, ValueError):
    """Candles that are missing or damaged."""


class TooLarge(ExchangeError, ValueError):
    """A figure that Kite's packets cannot carry."""


class PortInUse(ExchangeError, OSError):
    """Another program listens on the port."""


class Refusal(ExchangeError):
    """Kite's error: HTTP status, ``error_type``, its text, and the rarely used ``data``."""

    def __init__(self, code: int, error_type: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.error_type = error_type
        self.message = message
        self.data = data


def bad_input(message: str, data: Any = None) -> Refusal:
    """400 InputException, the commonest of them."""
    return Refusal(400, "InputException", message, data)

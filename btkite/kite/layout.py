"""The binary packets of the stream: how long each kind is, and what its price integers are divided by.

https://kite.trade/docs/connect/v3/websocket/: the length of a packet says what it is::

      8  last price                           ltp
     28  index, in the order H L O C          quote
     32  the same and the exchange's time     full
     44  trade, volume, day's O H L C         quote
    184  the same, times, OI, five levels     full

Prices are integers; the divisor hangs on the segment, the low byte of the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CDS, BCD, INDICES, NCO = 3, 6, 9, 12  # segments that are read in a way of their own
DIVISORS: Mapping[int, float] = MappingProxyType({CDS: 10_000_000.0, BCD: 10_000.0, NCO: 10_000.0})
DIVISOR = 100.0

LTP, INDEX_QUOTE, INDEX_FULL, QUOTE, FULL = 8, 28, 32, 44, 184
MODES: Mapping[int, str] = MappingProxyType(
    {LTP: "ltp", INDEX_QUOTE: "quote", INDEX_FULL: "full", QUOTE: "quote", FULL: "full"}
)

from __future__ import annotations

import pytest

from btkite.market.segments import classify, instrument_class
from btkite.values import Instrument


@pytest.mark.parametrize(
    ("exchange", "kind", "segment", "hours"),
    [
        ("NSE", "EQ", "eq", "noncas"),
        ("BSE", "EQ", "eq", "noncas"),
        ("NFO", "FUT", "fut", "futures"),
        ("BFO", "PE", "opt", "options"),
        ("CDS", "FUT", "cur_fut", "currency"),
        ("BCD", "CE", "cur_opt", "currency"),
        ("MCX", "FUT", "com_fut", "commodity"),
        ("MCX", "CE", "com_opt", "commodity"),
    ],
)
def test_segments_by_exchange_and_type(exchange: str, kind: str, segment: str, hours: str) -> None:
    instrument = Instrument(exchange, "X", instrument_type=kind)
    assert classify(instrument) == segment
    assert instrument_class(instrument) == hours


def test_an_index_is_not_a_share() -> None:
    index = Instrument("NSE", "NIFTY 50", segment="INDICES")
    assert classify(index) == "index"
    assert instrument_class(index, closing_auction=True) == "noncas"


def test_a_share_with_derivatives_closes_with_the_auction_if_told_so() -> None:
    assert instrument_class(Instrument("NSE", "SBIN"), closing_auction=True) == "cas"
    future = Instrument("NFO", "SBIN26AUGFUT", instrument_type="FUT")
    assert instrument_class(future, closing_auction=True) == "futures"

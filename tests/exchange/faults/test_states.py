"""What may become of the market and the account."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kiteconnect import exceptions as kite_errors

from ..scene import KEY
from .stage import Listener, Stage, covers, play, prices


@covers("price_spike")
def test_a_spike_is_a_trade_and_the_next_print_is_the_markets_own(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        await listener.do(stage.place)  # a bid at 90
        stage.steer.arm("price_spike", percent=-20)
        assert await listener.updates(1) == [("COMPLETE", 10)]
        assert prices(await listener.frames(1)) == [80.0]
        await listener.do(stage.steer.advance, 60)

    play(stage, test)
    assert stage.kite.ltp(KEY)[KEY]["last_price"] == 100.0


@covers("margin_shortfall")
def test_margin_is_short_in_mid_day(load: Callable[..., Stage]) -> None:
    stage = load(cash=10_000.0)
    stage.place()
    stage.steer.arm("margin_shortfall", method="POST", path="/orders/*", nth=2)
    stage.place()
    with pytest.raises(kite_errors.KiteException, match="Insufficient funds"):
        stage.place()
    assert stage.kite.margins("equity")["net"] < 1.0

"""A sizer of your own: risk a fixed share of the account on each trade, by the distance to the stop.

It is a ``bt.Sizer`` like any other and works in backtest, paper and live, because ``broker.getvalue()`` counts
by the same formula in all of them.
"""

from __future__ import annotations

import backtrader as bt

from btkite.report.table import inr
from btkite.testing import bars, run_strategy


class RiskPerTrade(bt.Sizer):
    """As many units as lose ``percent`` of the value when the strategy's ``stop_distance`` (₹) is hit.

    Params:
      - ``percent`` (0.05): per cent of the account's value that one trade may lose
    """

    params = (("percent", 0.05),)

    def _getsizing(self, comminfo, cash, data, isbuy):
        position = self.broker.getposition(data)
        if position.size and (position.size > 0) != isbuy:
            return abs(position.size)  # an exit closes what is there
        at_risk = self.broker.getvalue() * self.p.percent / 100
        return int(min(at_risk / self.strategy.stop_distance, cash / data.close[0]))


class Breakout(bt.Strategy):
    """Buys a new high of ``bars`` bars, with a stop of two average ranges and a target of four."""

    params = (("bars", 20),)

    def __init__(self):
        self.top = bt.ind.Highest(self.data.high(-1), period=self.p.bars)
        self.range = bt.ind.ATR(period=14)

    @property
    def stop_distance(self):
        return max(2 * self.range[0], 0.5)

    def next(self):
        price = self.data.close[0]
        if not self.position and price > self.top[0]:
            self.buy_bracket(
                exectype=bt.Order.Market,
                stopprice=price - self.stop_distance,
                limitprice=price + 2 * self.stop_distance,
            )


if __name__ == "__main__":
    for percent in (0.02, 0.04, 0.08):
        outcome = run_strategy(Breakout, bars("breakout"), sizer=(RiskPerTrade, {"percent": percent}), charges=True)
        sizes = sorted({trade.size for trade in outcome.trades})
        print(f"{percent} % a trade: {len(outcome.trades)} trades of {sizes} units, value {inr(outcome.final_value)}")

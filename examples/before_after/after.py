"""A backtrader script as there are thousands: a CSV file, a crossover, a broker with cash, numbers at the end."""

import sys

import backtrader as bt
import btkite


class Cross(bt.Strategy):
    params = (("fast", 5), ("slow", 20))

    def __init__(self):
        fast, slow = bt.ind.EMA(period=self.p.fast), bt.ind.EMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)

    def notify_trade(self, trade):
        if trade.isclosed:
            print(f"{self.data.datetime.datetime(0)}  {trade.pnlcomm:10.2f}")

    def next(self):
        if self.cross > 0 and not self.position:
            self.order_target_percent(target=0.09)
        elif self.cross < 0 and self.position:
            self.close()


def main(path):
    cerebro = bt.Cerebro()
    store = btkite.KiteStore(mode=mode)
    cerebro.adddata(store.getdata("NSE:INFY", interval="5minute"), name="INFY")
    cerebro.setbroker(store.getbroker(cash=100_000.0))
    cerebro.addstrategy(Cross)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    (strategy,) = cerebro.run()
    print("closed trades:", strategy.analyzers.trades.get_analysis().total.closed)
    print("value:", round(cerebro.broker.getvalue(), 2))


if __name__ == "__main__":
    main(sys.argv[1])

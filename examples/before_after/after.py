"""A backtrader script as there are thousands: a CSV file, a crossover, a broker with cash, figures at the end."""

import backtrader as bt
import btkite


class Cross(bt.Strategy):
    params = (("fast", 5), ("slow", 20))

    def __init__(self):
        fast, slow = bt.ind.EMA(period=self.p.fast), bt.ind.EMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)

    def notify_trade(self, trade):
        if trade.isclosed:
            print(f"{trade.data._name} {trade.pnlcomm:9.2f}")

    def next(self):
        if self.cross > 0 and not self.position:
            self.order_target_percent(target=0.09)
        elif self.cross < 0 and self.position:
            self.close()


cerebro = bt.Cerebro()
store = btkite.KiteStore(mode="backtest")  # or "paper"; or "live" with confirm="AB1234", your user id
cerebro.adddata(store.getdata("NSE:INFY", interval="5minute"), name="INFY")
cerebro.setbroker(store.getbroker(cash=100_000.0))
cerebro.addstrategy(Cross)
cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
(strategy,) = cerebro.run()

print("closed trades:", strategy.analyzers.trades.get_analysis().total.closed)
print("value:", round(cerebro.broker.getvalue(), 2))

"""The fast loop: a backtest whose bars are all known, with the results of backtrader's own loop to the last bit.

What it does otherwise (docs/fast.md): lines that move together share one cursor; vectors are worked out by
numpy where that gives the same doubles; the broker has its turn when something can happen to an order; money
is valued when someone asks; standard observers and analyzers are filled from the curve of the account.

Everything is bound to the instances of one run and taken off them at its end: a stock ``bt.Cerebro`` in the
same process is as it was. What is not proven equal goes through backtrader's own loop: :mod:`.proof`.
"""

from __future__ import annotations

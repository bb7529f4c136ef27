"""KiteStore: one account's connection, in the shape that Cerebro knows.

Cerebro asks the store for notifications at the top of each turn, before any feed: there the pump turns once
(:mod:`btkite.pump`). What may be asked without a run is in :mod:`btkite.connection`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt

from .errors import ConfigError
from .kite.inbox import Inbox
from .pump import Pump


class _ManyStores(bt.store.MetaSingleton):
    """backtrader allows one store per class and process; accounts are many."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super(bt.store.MetaSingleton, cls).__call__(*args, **kwargs)


class KiteStore(Pump, bt.Store, metaclass=_ManyStores):
    """A connection to Kite, or to candles only.

    ``store.getdata("NSE:INFY", interval="5minute")`` and ``store.getbroker()`` give what a Cerebro needs in
    this mode; ``store.quote(...)`` and its kin serve research scripts without any Cerebro.

    Params:
      - ``mode`` (``"backtest"``): a name or a row of :data:`btkite.modes.MODES`.
      - ``config`` (``None``): a :class:`~btkite.config.Config`; ``None`` reads config.yaml and environment.
      - ``confirm`` (``None``): the account's user id, said aloud; without it a live store sends no order.
      - ``clock`` (``None``): market time; ``None`` is the machine's, or the exchange's own on a simulator.
      - ``cache`` (``None``): a folder or :class:`~btkite.candles.CandleCache` instead of ``data.cache``.
    """

    params = (("mode", "backtest"), ("config", None), ("confirm", None), ("clock", None), ("cache", None))

    def __init__(self) -> None:
        super().__init__(self.p.mode, self.p.config, self.p.confirm, self.p.clock, self.p.cache)

    def __getstate__(self) -> dict[str, Any]:
        """For ``optstrategy`` in several processes: what was read, without connections."""
        state = vars(self).copy()
        for name in (
            "_client",
            "renewal",
            "silence",
            "postbacks",
            "stream",
            "reader",
            "desk",
            "inbox",
            "_clock",
            "broker",
        ):
            state[name] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.inbox = Inbox()

    # -- what Cerebro needs -------------------------------------------------------------------------

    def getdata(self, dataname: str | None, **kwargs: Any) -> Any:
        """A :class:`~btkite.feed.KiteData` of ``EXCHANGE:TRADINGSYMBOL``; keyword arguments are its params.

        With ``continuous="oi"`` (or ``"volume"``, ``"expiry"``) the futures on an underlying one after the other, of
        ``"NFO:NIFTY FUT"``: a :class:`~btkite.continuous.Continuous`.
        """
        if "continuous" in kwargs:
            from .continuous import Continuous

            return Continuous(dataname=None, store=self, family=dataname, **kwargs)  # type: ignore[call-arg]
        from .feed import KiteData

        return KiteData(dataname=dataname, store=self, **kwargs)  # type: ignore[call-arg]  # its params

    def slot(self, family: str | None = None, **kwargs: Any) -> Any:
        """A :class:`~btkite.feed.KiteData` that has no instrument yet and is given one during the run, and others
        after it: ``ce = store.slot("NFO:NIFTY CE", interval="minute")``, then ``ce.bind("ATM weekly")``.

        ``family`` is what the words of ``bind`` leave out. Keyword arguments are the feed's params.
        """
        kwargs.setdefault("name", family or "slot")
        return self.getdata(None, slot=True, family=family, **kwargs)

    def getbroker(self, **kwargs: Any) -> Any:
        """The broker of this mode: simulated, or Kite's."""
        if self.mode.fills == "kite":
            from .brokers.kite import KiteBroker

            self.broker = KiteBroker(store=self, config=self.config, **kwargs)
        else:
            from .brokers.sim import SimBroker

            self.broker = SimBroker(config=self.config, **kwargs)
        return self.broker

    @property
    def warmup(self) -> int:
        """Bars before the start. On a market that runs by itself at least one for who takes up what an earlier run
        left: before a strategy has a bar, backtrader can tell it of nothing, and no timer of it fires."""
        takes_up = getattr(self.broker, "takes_up", False) and not self.clock.complete
        return max(super().warmup, 1) if takes_up else super().warmup

    def start(self, data: Any = None, broker: Any = None) -> None:
        """Called by Cerebro (nothing given) and by each feed and broker of a run."""
        if data is not None:
            self._attach(data)
        elif broker is not None:
            self.broker = broker
        elif self.streams and not self._running:
            self._open()

    def open_desk(self, before_send: Callable[[Any], str | None]) -> Any:
        """The order worker. :raises ConfigError: if this store is not armed."""
        if not self.armed:
            raise self._unarmed()
        from .kite.desk import Desk

        self.desk = Desk(self.client, self.inbox, self.clock, before_send, by_turns=self.clock.complete)
        return self.desk

    def _unarmed(self) -> ConfigError:
        user, said = self.config.broker.kite_connect.user_id, self._confirm
        if not user:
            return ConfigError(
                "live orders need to know whose account it is: set broker.kite_connect.user_id (KITE_USER_ID); "
                "nothing was sent"
            )
        why = (
            f"the account is {user}, not {said}" if said and said != user else "live orders need the account said aloud"
        )
        return ConfigError(f"{why}: pass confirm=USER_ID (--confirm {user}); nothing was sent")

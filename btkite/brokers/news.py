"""News: what strategies are told, and what they may ask, as backtrader wants it of every broker."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

from ..dated import tell
from ..errors import ConfigError
from .lasting import Lasting


class News(Lasting):
    """Notifications and questions about orders."""

    def init(self) -> None:
        super().init()
        self.notifs: deque[Any] = deque()
        self._flushing = self._handing = False

    def notify(self, order: Any) -> None:
        """Queue exactly one clone: a clone carries only its new execution bits."""
        self.notifs.append(order.clone())

    def get_notification(self) -> Any:
        """The next one, or None: then Cerebro goes on to the strategies' ``next()``."""
        self._handing = self.has_news
        return self.notifs.popleft() if self._handing else None

    @property
    def is_midway(self) -> bool:
        """Whether a strategy is being told of an order, and so may be in the middle of a bar."""
        return self._flushing or self._handing

    @property
    def has_news(self) -> bool:
        """Whether there is something to tell that can be told: after a restart strategies have no bar yet, and
        what they would look at in ``notify_order`` is not there."""
        if not self.notifs:
            return False
        return not self._adopted or all(len(strategy) for strategy in self.cerebro.runningstrats)

    def flush(self) -> None:
        """Tell the strategies at once, in the middle of a bar, if Cerebro wants it so (``quicknotify``)."""
        cerebro = getattr(self, "cerebro", None)
        if cerebro is None or not cerebro.p.quicknotify or self._flushing:
            return
        self._flushing = True
        try:
            while self.has_news:
                order = self.notifs.popleft()
                owner = cerebro.runningstrats[0] if order.p.owner is None else order.p.owner
                tell(owner, order, quicknotify=True)
        finally:
            self._flushing = False

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        """Living orders; ``safe`` gives copies that no longer change."""
        return [copy.copy(order) if safe else order for order in self.orders.values() if order.alive()]

    def orderstatus(self, order: Any) -> int:
        return int(self.orders.get(order.ref, order).status)

    def set_coc(self, coc: bool) -> None:
        self._no_cheating(coc, "cheat-on-close")

    def set_coo(self, coo: bool) -> None:
        self._no_cheating(coo, "cheat-on-open")

    def _no_cheating(self, wanted: bool, what: str) -> None:
        if wanted:
            raise ConfigError(f'{what} has no counterpart in a live market; use SimBroker(rule="backtrader") for it')

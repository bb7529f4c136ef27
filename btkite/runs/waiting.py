"""A market that was started for a run waits until the run listens: no print of its first bars is missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def set_off_when_live(cerebro: Any, set_off: Callable[[], None]) -> None:
    """Call ``set_off`` once, when every feed is LIVE; slots are not waited for."""
    waiting = {id(data) for data in cerebro.datas if not data.p.slot}
    if not waiting:
        set_off()
        return

    def heard(data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        if status != data.LIVE or id(data) not in waiting:
            return
        waiting.remove(id(data))
        if not waiting:
            set_off()

    cerebro.adddatacb(heard)

"""Backtest, paper, live: one row each. The only place that knows what a mode's name means.

The columns are facts; other files read a fact and never ask for the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import ConfigError


@dataclass(frozen=True, slots=True)
class Mode:
    """What a mode is.

    ``bars``: where bars come from. ``fills``: who fills orders. ``journal``: whether the account
    outlives the process. ``arm``: whether real orders may leave, which needs a confirmation.
    """

    name: str
    bars: Literal["history", "stream"]
    fills: Literal["simulator", "kite"]
    journal: bool
    arm: bool


MODES = {
    "backtest": Mode("backtest", bars="history", fills="simulator", journal=False, arm=False),
    "paper": Mode("paper", bars="stream", fills="simulator", journal=True, arm=False),
    "live": Mode("live", bars="stream", fills="kite", journal=True, arm=True),
}


def mode(name: str | Mode) -> Mode:
    """:raises ConfigError: if there is no such mode."""
    if isinstance(name, Mode):
        return name
    try:
        return MODES[name]
    except KeyError:
        raise ConfigError(f"there is no mode {name!r}; choose one of {', '.join(MODES)}") from None

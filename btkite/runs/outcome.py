"""What a run came to: its figures and the sentences on them, however it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..analyzers import Equity, Orders
from ..errors import BtkiteError, RiskHalt
from ..report.result import RunResult
from . import words
from .ending import Ending

if TYPE_CHECKING:
    from .plan import Run


def outcome(plan: Run, strategy: Any, broker: Any, ending: Ending) -> RunResult:
    """The result of a strategy that has run, with what its broker knows."""
    result = RunResult.collect(
        strategy,
        mode=plan.mode.name,
        symbols=plan.symbols,
        interval=plan.interval,
        engine=_engine(plan, strategy.cerebro),
    )
    gate = getattr(broker, "gate", None)
    halted, mistake = words.halted(gate), words.mistake(broker)
    codes = (ending.code, RiskHalt.exit_code if halted else 0, BtkiteError.exit_code if mistake else 0)
    return replace(
        result,
        denied=gate.summary() if gate is not None else "",
        halted=halted,
        mistake=mistake,
        overnight=str(getattr(broker, "overnight", "")),
        margin=str(getattr(broker, "upkeep", "")),
        margin_used=broker.upkeep.most if hasattr(broker, "upkeep") else 0.0,
        untraded=words.untraded(strategy),
        left_open=tuple(words.left_open(broker, strategy.datas)),
        stopped=ending.why,
        exit_code=0 if ending.asked else next((code for code in codes if code), 0),
    )


def cut_short(plan: Run, cerebro: Any, broker: Any, failure: BtkiteError) -> RunResult | None:
    """What there was of a run when ``failure`` ended it; None if its strategy had not started."""
    for strategy in getattr(cerebro, "runningstrats", ()):
        if all(one.start_value is None for one in strategy.analyzers if isinstance(one, Equity)):
            return None
        for analyzer in strategy.analyzers:
            if isinstance(analyzer, Orders):
                analyzer.stop()  # backtrader stops nothing where a callback raises
        ending = Ending()
        ending.why, ending.code = str(failure), failure.exit_code
        return outcome(plan, strategy, broker, ending)
    return None


def _engine(plan: Run, cerebro: Any) -> str:
    if plan.mode.fills == "kite":
        return f"orders on {plan.endpoint}"
    fills = f"simulated fills, rule {plan.config.broker.rule}"
    return f"{fills}, {cerebro.engine} loop" if plan.mode.bars == "history" else fills

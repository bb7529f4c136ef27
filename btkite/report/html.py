"""A run as one page that opens without a network: figures, curves, trades, orders, settings.

plotly's script comes out of the installed package and is written once beside the reports; the page
refers to it by a relative path. Without it (or without scripts) the page shows ``equity.png`` instead.
Only what is displayed is thinned; the CSV files beside the page are whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .curve import POINTS, running_drawdown, thin
from .stats import FIGURES
from .table import NONE, headline, inr, number, shown, unknown, when

if TYPE_CHECKING:
    from .result import RunResult

ROWS = 1_000  # listed at most, per table
SCRIPT = "plotly.min.js"

_CARDS = (
    ("Return", "return_rupees", "return_percent"),
    ("Growth a year", "cagr_percent", "days"),
    ("Sharpe ratio", "sharpe", None),
    ("Deepest drawdown", "max_drawdown_percent", "max_drawdown_rupees"),
    ("Trades", "trades", "win_rate_percent"),
    ("Charges", "charges_rupees", "charges_percent"),
)
_NOTES = {"days": "{} days", "win_rate_percent": "{} won", "charges_percent": "{} of the return before them"}
_GROUPS = (
    ("Result", "start", "cagr_percent"),
    ("Risk", "sharpe", "drawdown_recovery"),
    ("Trades", "trades", "worst_trade_rupees"),
    ("Costs and activity", "gross_rupees", "denials"),
)


def write_report(
    result: RunResult,
    path: Path,
    *,
    config: str = "",
    script: Path | None = None,
    files: Sequence[str] = (),
) -> Path:
    """Write the page to ``path``.

    :param config: the settings of the run as text, already masked.
    :param script: where plotly's script is or shall be; default: beside the page.
    :param files: names of files beside the page that it shall link to.
    """
    script = place_script(script if script is not None else path.parent / SCRIPT)
    relative = Path(os.path.relpath(script, path.parent)).as_posix()
    page = render(result, config=config, script=relative, files=files)
    replace_text(path, page)
    return path


def place_script(path: Path) -> Path:
    """plotly's script at ``path``, copied out of the installed package unless it is there already.

    :raises ConfigError: if plotly is not installed.
    """
    spec = find_spec("plotly")  # found, not imported: plotly takes a second to import
    if spec is None or spec.origin is None:
        raise ConfigError("the report's curves need plotly: install it with pip install plotly")
    source = Path(spec.origin).parent / "package_data" / SCRIPT
    if not path.exists() or path.stat().st_size != source.stat().st_size:
        replace_bytes(path, source.read_bytes())
    return path


def render(result: RunResult, *, config: str = "", script: str = SCRIPT, files: Sequence[str] = ()) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    stats = result.stats
    return environment.get_template("report.html.j2").render(
        title=headline(result),
        result=result,
        remarks=_remarks(result),
        period=f"{when(stats['start'])} – {when(stats['end'])}",
        cards=[_card(stats, *card) for card in _CARDS],
        groups=_groups(stats),
        chart=chart(result),
        trades=_table(result.trades, _TRADE_CELLS),
        orders=_table(result.orders, _ORDER_CELLS),
        config=config,
        script=script,
        files=files,
        rows=ROWS,
    )


def snippet(result: RunResult) -> str:
    """A small table for notebooks; no script, no style of its own but the alignment."""
    import html

    cells = "".join(
        f'<tr><td>{figure.label}</td><td style="text-align:right">'
        f"{html.escape(shown(figure.key, result.stats[figure.key]))}</td></tr>"
        for figure in FIGURES
    )
    remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in _remarks(result))
    return f"{remarks}<table><caption>{html.escape(headline(result))}</caption>{cells}</table>"


def _remarks(result: RunResult) -> list[str]:
    return [*result.remarks, *([result.still_open] if result.left_open else [])]


def chart(result: RunResult) -> dict[str, Any]:
    """What the page draws: the equity curve, the drawdown below it, each trade's result.

    Days go on a time axis. Shorter bars go on an axis of bars, so that nights leave no gaps.
    """
    times = [stamp.to_pydatetime() for stamp in result.equity["datetime"]]
    values = [float(value) for value in result.equity["value"]]
    drawdowns = running_drawdown(values, result.start_value)
    kept = sorted({*thin(values, POINTS // 2), *thin(drawdowns, POINTS // 2)})
    intraday = any(a.date() == b.date() for a, b in pairwise(times))
    label = _labels(times, intraday)
    return {
        "intraday": intraday,
        "x": [label(times[i]) for i in kept],
        "equity": [round(values[i], 2) for i in kept],
        "drawdown": [round(drawdowns[i], 4) for i in kept],
        "start_value": result.start_value,
        "thinned": len(times) if len(kept) < len(times) else 0,
        **_markers(result, times, kept, label),
    }


def _labels(times: Sequence[datetime], intraday: bool) -> Any:
    if not intraday:
        return lambda moment: moment.strftime("%Y-%m-%d")
    day = "%d %b" if times[-1] - times[0] < timedelta(days=300) else "%d %b %Y"
    clock = "%H:%M:%S" if any(moment.second for moment in times) else "%H:%M"
    return lambda moment: moment.strftime(f"{day} {clock}")


def _markers(result: RunResult, times: Sequence[datetime], kept: Sequence[int], label: Any) -> dict[str, Any]:
    """Each trade at the first drawn bar at or after its exit."""
    from bisect import bisect_left

    results = [float(value) for value in result.trades["pnlcomm"]]
    drawn: list[datetime] = [times[i] for i in kept]
    found: dict[str, Any] = {"exit_x": [], "result": [], "note": []}
    if not drawn:
        return found
    rows: list[Any] = list(result.trades.itertuples(index=False))
    for index in thin(results, POINTS):
        row = rows[index]
        at = min(bisect_left(drawn, row.exit_time), len(drawn) - 1)
        found["exit_x"].append(label(drawn[at]))
        found["result"].append(round(results[index], 2))
        found["note"].append(f"{row.side} {number(row.size, 0)} {row.symbol}: {inr(results[index])}")
    return found


def _card(stats: Any, label: str, key: str, below: str | None) -> dict[str, str]:
    note = "" if below is None or unknown(stats[below]) else shown(below, stats[below])
    text = _NOTES.get(below or "", "{}").format(note) if note else ""
    return {"label": label, "value": shown(key, stats[key]), "note": text, "tone": _tone(key, stats[key])}


def _tone(key: str, value: Any) -> str:
    if key not in ("return_rupees", "cagr_percent") or unknown(value) or not value:
        return ""
    return "gain" if value > 0 else "loss"


def _groups(stats: Any) -> list[dict[str, Any]]:
    keys = [figure.key for figure in FIGURES]
    found = []
    for name, begin, end in _GROUPS:
        figures = FIGURES[keys.index(begin) : keys.index(end) + 1]
        rows = [{"label": f.label, "value": shown(f.key, stats[f.key]), "meaning": f.meaning} for f in figures]
        found.append({"name": name, "rows": rows})
    return found


def _count(value: Any) -> str:
    return number(value, 0)


def _text(value: Any) -> str:
    return NONE if unknown(value) or value == "" else str(value)


# heading, column, how to print it, whether it is a number
_TRADE_CELLS: tuple[tuple[str, str, Any, bool], ...] = (
    ("Symbol", "symbol", _text, False),
    ("Side", "side", _text, False),
    ("Size", "size", _count, True),
    ("Entry", "entry_time", when, False),
    ("at ₹", "entry_price", number, True),
    ("Exit", "exit_time", when, False),
    ("at ₹", "exit_price", number, True),
    ("Gross", "pnl", inr, True),
    ("Charges", "commission", inr, True),
    ("Net", "pnlcomm", inr, True),
    ("Bars", "bars", _count, True),
)
_ORDER_CELLS: tuple[tuple[str, str, Any, bool], ...] = (
    ("#", "ref", str, True),
    ("Given", "created", when, False),
    ("Symbol", "symbol", _text, False),
    ("Side", "side", _text, False),
    ("Type", "exectype", _text, False),
    ("Size", "size", _count, True),
    ("Price ₹", "price", number, True),
    ("Limit ₹", "plimit", number, True),
    ("Status", "status", _text, False),
    ("Updated", "updated", when, False),
    ("Filled", "executed_size", _count, True),
    ("at ₹", "executed_price", number, True),
    ("Charges", "commission", inr, True),
    ("Product", "product", _text, False),
    ("Tag", "tag", _text, False),
    ("Denied because", "denied", _text, False),
    ("Market's reason", "reason", _text, False),
)
_OPTIONAL = ("plimit", "denied", "reason", "product", "tag")


def _table(frame: Any, cells: Sequence[tuple[str, str, Any, bool]]) -> Mapping[str, Any]:
    # A column that most runs do not need is shown only if something is in it.
    cells = [
        cell for cell in cells if cell[1] not in _OPTIONAL or any(_text(value) != NONE for value in frame[cell[1]])
    ]
    rows = []
    for record in frame.head(ROWS).to_dict("records"):
        row = [{"text": show(record[column]), "number": right} for _, column, show, right in cells]
        net = record.get("pnlcomm")
        tone = "" if unknown(net) or not net else ("gain" if net > 0 else "loss")
        rows.append({"cells": row, "tone": "denied" if record.get("denied") else tone})
    return {"head": [(heading, right) for heading, _, _, right in cells], "rows": rows, "total": len(frame)}


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """:func:`replace_text` for bytes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.write_bytes(content)
    temporary.replace(path)

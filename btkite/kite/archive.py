"""The dumps of past days: each day's is kept, and what has expired stays findable.

A day's dump is a small Parquet file; the newest lies beside it as an Arrow file, which is mapped into memory and not
read. Contracts disappear from the dump when they expire: what was in the last one and is not in the new one is
gathered in a file of its own.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import DataError
from .instruments import InstrumentMaster

if TYPE_CHECKING:
    import pyarrow as pa

RENEWED = time(8, 30)
"""From this time on (IST) the day's dump is there (https://kite.trade/docs/connect/v3/market-quotes/)."""

GONE = "expired.parquet"
"""Contracts that are in no dump any more, as they were last seen."""

EXPIRED_ROWS = 20
"""So many contracts that have expired before today, and the dump is not today's, whenever it was fetched."""


class Dumps(Protocol):
    """The client, as far as it is needed here."""

    def dump(self, exchange: str | None = None) -> pa.Table:
        """Kite's dump as columns."""
        ...


def save(master: InstrumentMaster, folder: Path | str) -> Path:
    """Keep a day's master as ``<folder>/<day>.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if master.day is None:
        raise ValueError("a master without a day cannot be kept in the archive")
    where, table = Path(folder), master.table
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{master.day}.parquet"
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
    if master.day == archived(where)[-1]:
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        temporary.replace(path.with_suffix(".arrow"))
        for older in where.glob("*.arrow"):
            if older.stem != path.stem:
                older.unlink(missing_ok=True)
    return path


def load(folder: Path | str, day: date | None = None) -> InstrumentMaster:
    """The archive's master of ``day``, or its newest. Raises DataError if there is none."""
    import pyarrow as pa

    days = archived(folder)
    if day is None and days:
        day = days[-1]
    if day is None or day not in days:
        held = f"it has {days[0]} to {days[-1]}" if days else "it is empty"
        raise DataError(f"no instruments{f' of {day}' if day else ''} in the archive {folder} ({held})")
    path = Path(folder) / f"{day}.parquet"
    quick = path.with_suffix(".arrow")
    try:
        if quick.exists():
            return InstrumentMaster(pa.ipc.open_file(pa.memory_map(str(quick))).read_all(), day)
        import pyarrow.parquet as pq

        return InstrumentMaster(pq.read_table(path), day)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it") from error


def as_of(folder: Path | str, day: date) -> InstrumentMaster:
    """The dump that was in force on ``day``, or the last one before. Raises DataError if there is none."""
    before = [one for one in archived(folder) if one <= day]
    if not before:
        raise DataError(
            f"no instruments of {day} or before are in the archive {folder}: dumps are kept from the first day on "
            "which one was fetched"
        )
    return load(folder, before[-1])


def archived(folder: Path | str) -> list[date]:
    """The days that the archive has, oldest first."""
    days = []
    for path in Path(folder).glob("*.parquet"):
        try:
            days.append(date.fromisoformat(path.stem))
        except ValueError:
            continue
    return sorted(days)


def dump_day(now: datetime) -> date:
    """The day of the dump that is in force at ``now`` (naive IST)."""
    return now.date() if now.time() >= RENEWED else now.date() - timedelta(days=1)


def current(folder: Path | str, client: Dumps, now: datetime) -> InstrumentMaster:
    """The master in force: from the archive, or asked of Kite once and kept there."""
    day = dump_day(now)
    days = archived(folder)
    if day in days:
        return load(folder, day)
    master = InstrumentMaster(client.dump(), day)
    if len(master) == 0:
        raise DataError("Kite's instruments dump is empty: try again in a few minutes")
    if days and days[-1] < day:
        _gather(Path(folder), load(folder, days[-1]), master)
    save(master, folder)
    return master


def _gather(folder: Path, old: InstrumentMaster, new: InstrumentMaster) -> None:
    """Keep what ``new`` has not any more."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = set(new.keys())
    places = [place for place, key in enumerate(old.keys()) if key not in there]
    if not places:
        return
    rows = [old.table.take(places)]
    path = folder / GONE
    if path.exists():
        gone = set(old.table.take(places)["tradingsymbol"].to_pylist())
        kept = pq.read_table(path)
        mask = pa.array([symbol not in gone for symbol in kept["tradingsymbol"].to_pylist()])
        rows.append(kept.filter(mask))
    temporary = path.with_suffix(".tmp")
    pq.write_table(pa.concat_tables(rows, promote_options="default"), temporary, compression="zstd")
    temporary.replace(path)


def expired(folder: Path | str) -> InstrumentMaster | None:
    """The contracts that are in no dump any more; None if none is known. Their tokens are used again by others."""
    import pyarrow.parquet as pq

    path = Path(folder) / GONE
    return InstrumentMaster(pq.read_table(path)) if path.exists() else None


def stale(master: InstrumentMaster, now: datetime) -> str:
    """Why a dump must not be traded by at ``now``; '' if it may: it is of another day, or it says that it is today's
    and still has contracts that have expired."""
    day = dump_day(now)
    if master.day is not None and master.day < day:
        return f"the instruments are of {master.day}, and those of {day} are there"
    over = master.expired_by(day)
    if over >= EXPIRED_ROWS:
        return f"{over} contracts of the instruments have expired before {day}: Kite has not renewed its dump yet"
    return ""

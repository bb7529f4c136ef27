"""One series in one Parquet file: its candles, and what is known about it in the schema's metadata.

Written atomically with checksums; read without pandas, and only the row groups that a range lies in.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError
from .series import COLUMNS, PRICES, Array, Candles, Range, whole

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = ("instrument_token", "tick_size", "lot_size", "instrument_type", "segment", "name", "expiry", "strike")
"""What the cache may know of an instrument, under the names of Kite's dump."""

ROW_GROUP = 131_072
"""Rows that are read together, about 350 sessions of minutes: a year is read without the other years."""

_META = b"btkite"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the cache knows of one series without reading its candles.

    ``covered`` are the ranges that were asked for and answered (also with nothing), ``gaps`` those
    of them that hold no bar although they were asked for: before a listing, above all.
    """

    key: str
    interval: str
    rows: int
    first: datetime | None
    last: datetime | None
    source: str
    fetched_at: datetime | None
    covered: tuple[Range, ...]
    gaps: tuple[Range, ...]
    path: Path
    bytes: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it and fetch the candles again") from error


def describe(key: str, interval: str, path: Path) -> Stored:
    with _open(path) as file:
        metadata = file.metadata
        try:
            meta = json.loads(file.schema_arrow.metadata[_META])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} was not written by btkite: bring it in with `btkite data import`") from error
        first = last = None
        if metadata.num_rows:
            first = metadata.row_group(0).column(0).statistics.min
            last = metadata.row_group(metadata.num_row_groups - 1).column(0).statistics.max
    return Stored(
        key=key,
        interval=interval,
        rows=metadata.num_rows,
        first=first,
        last=last,
        source=meta["source"],
        fetched_at=datetime.fromisoformat(meta["fetched_at"]) if meta["fetched_at"] else None,
        covered=_ranges(meta["covered"]),
        gaps=_ranges(meta["gaps"]),
        path=path,
        bytes=path.stat().st_size,
        facts=meta["facts"],
    )


def _ranges(pairs: Iterable[Sequence[str]]) -> tuple[Range, ...]:
    return tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in pairs)


def load(stored: Stored, low: datetime | None, high: datetime | None) -> Candles:
    """Bars in [low, high) as numpy; reads only the row groups they lie in, and imports no pandas."""
    import pyarrow as pa

    if stored.rows == 0:
        return Candles.empty(stored.key, stored.interval)
    with _open(stored.path) as file:
        groups = []
        for place in range(file.metadata.num_row_groups):
            bounds = file.metadata.row_group(place).column(0).statistics
            if (high is None or bounds.min < high) and (low is None or bounds.max >= low):
                groups.append(place)
        if not groups:
            return Candles.empty(stored.key, stored.interval)
        rows = sum(file.metadata.row_group(place).num_rows for place in groups)
        start = np.empty(rows, "datetime64[s]")
        columns = {name: np.empty(rows) for name in COLUMNS[1:]}
        done = 0
        try:
            for place in groups:  # one after the other: the memory of a group serves the next one
                table = file.read_row_group(place, columns=list(COLUMNS))
                part = slice(done, done + table.num_rows)
                np.floor_divide(as_numpy(table.column("date")), 1000, out=start.view(np.int64)[part])
                for name, column in columns.items():
                    column[part] = as_numpy(table.column(name))
                done += table.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{stored.path} is damaged ({error}): delete it and fetch the candles again") from error
    source = f"cache: {stored.source}" if stored.source else "cache"
    # Checked when they were written, and the pages' checksums say that they are what was written.
    return Candles(stored.key, stored.interval, start, **columns, source=source).between(low, high)


def as_numpy(column: pa.ChunkedArray) -> Array:
    """The numbers of a column (a time as its count). ``to_numpy`` would import pandas for it: 0.4 s."""
    import pyarrow as pa

    if column.null_count:
        raise DataError(f"a column has {column.null_count} empty cells where none may be")
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    if pa.types.is_timestamp(column.type):
        chunks = [chunk.view(pa.int64()) for chunk in chunks]  # a cast would import Arrow's functions: 0.03 s
    arrays = [np.from_dlpack(chunk) for chunk in chunks]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, column.type.to_pandas_dtype())


def save(
    path: Path,
    candles: Candles,
    *,
    covered: Iterable[Range],
    gaps: Iterable[Range],
    source: str,
    fetched_at: datetime | None,
    facts: Mapping[str, Any],
    row_group: int = ROW_GROUP,
) -> None:
    """Write beside the file and rename: there is always a whole file under the name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    meta = {
        "version": 1,
        "key": candles.key,
        "interval": candles.interval,
        "source": source,
        "fetched_at": fetched_at.isoformat() if fetched_at else None,
        "covered": [[start.isoformat(), end.isoformat()] for start, end in covered],
        "gaps": [[start.isoformat(), end.isoformat()] for start, end in gaps],
        "facts": {name: facts[name] for name in FACTS if facts.get(name) not in (None, "")},
    }
    volume, oi = whole(candles.volume), whole(candles.oi)
    table = pa.table(
        {
            "date": pa.array(candles.start.astype("datetime64[ms]")),
            **{name: pa.array(getattr(candles, name)) for name in PRICES},
            "volume": pa.array(volume),
            "oi": pa.array(oi),
        }
    ).replace_schema_metadata({_META: json.dumps(meta).encode()})
    delta, split = "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"
    encoding = {"date": delta, **dict.fromkeys(PRICES, split)}
    encoding["volume"] = delta if volume.dtype == np.int64 else split
    encoding["oi"] = delta if oi.dtype == np.int64 else split
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            pq.write_table(
                table,
                file,
                compression="zstd",
                use_dictionary=False,
                column_encoding=encoding,
                row_group_size=row_group,
                write_page_checksum=True,
            )
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)

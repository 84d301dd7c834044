"""Opening parquet so that a broken file says where it is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.markets.segments import ReadLog

# Rows turned into Python objects at a time.
BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of one file: `first_row` counts from 1, `rows` from the footer."""

    path: Path
    number: int
    first_row: int
    rows: int

    def read(self, columns: Sequence[str], log: ReadLog) -> pa.Table | None:
        """The group's columns; None after a fault in `log` when its bytes are broken."""
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                return file.read_row_group(self.number, columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            last = self.first_row + self.rows - 1
            log.fault(str(self.path), self.first_row, f"rows {self.first_row} to {last} are broken ({error})")
            return None


def column_names(path: Path) -> frozenset[str]:
    """The column names in the footer. Raises RecordingError when the footer is missing or broken."""
    try:
        with pq.ParquetFile(path) as file:
            return frozenset(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(f"{path}: {_broken_footer(path)}; copy it again") from error


def row_groups(paths: Sequence[Path], log: ReadLog) -> Iterator[RowGroup]:
    """Every row group of the files, in order; a file without a whole footer is a fault of its row 0."""
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        except (pa.ArrowException, OSError):
            log.fault(str(path), 0, _broken_footer(path))
            continue
        first_row = 1
        for number, rows in enumerate(sizes):
            yield RowGroup(path, number, first_row, rows)
            first_row += rows


def time_ordered(table: pa.Table, times: pa.ChunkedArray) -> Iterator[dict[str, list[Any]]]:
    """Batches of `table` as Python columns, ordered by `times`; ties keep their place in the file.

    The extra column "row" is the row's place in the table, from 0.
    """
    numbered = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    keys = pa.table({"time": times, "row": numbered["row"]})
    order = pc.sort_indices(keys, sort_keys=[("time", "ascending"), ("row", "ascending")])
    for start in range(0, len(order), BATCH_ROWS):
        yield numbered.take(order.slice(start, BATCH_ROWS)).to_pydict()


def _broken_footer(path: Path) -> str:
    size = path.stat().st_size
    return f"its parquet footer is missing or broken, so the file of {size} bytes is cut or damaged"

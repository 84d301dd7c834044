"""Opening a recording of real books, whatever its shape, and reading it in the order of the venue's clock.

    recording = open_recording("day.jsonl.gz")
    for frame in recording.frames():
        ...

Three shapes are known, told apart by content and never by name: parquet with raw market-channel messages,
parquet with books as lists of doubles, and JSON lines of raw WebSocket frames, plain or gzip. A file that
cannot be read whole is refused with a sentence that names file and row, or read as far as it goes with every
gap written down; never half-read in silence.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from polytraders_pfh.errors import RecordingError
from polytraders_pfh.paper.markets.frames import Frame, RecordedMarket, Skipped
from polytraders_pfh.paper.markets.recordings_jsonl import GZIP_MAGIC, jsonl_index
from polytraders_pfh.paper.markets.segments import Index, OnError, ReadLog, merged, without_duplicates

PathLike: TypeAlias = str | Path

_PARQUET_MAGIC = b"PAR1"
_NAMES = (".parquet", ".jsonl", ".ndjson", ".json", ".gz")


class Recording:
    """An opened recording. `frames` may be called again, and starts over with a fresh `log`."""

    def __init__(self, index: Index, opening: ReadLog) -> None:
        self._index = index
        self._opening = opening
        self.log = ReadLog(opening.on_error)

    @property
    def format(self) -> str:
        """The shape that was recognised, in words."""
        return self._index.format

    @property
    def files(self) -> tuple[str, ...]:
        """The files read."""
        return self._index.files

    @property
    def markets(self) -> tuple[RecordedMarket, ...]:
        """The recorded markets, in the order in which they begin."""
        return self._index.markets

    @property
    def total_rows(self) -> int:
        """Rows to be read, `log.rows_read` runs up to it; row groups broken as a whole are not among them."""
        return self._index.total_rows

    @property
    def float_residues(self) -> int:
        """Doubles whose arithmetic residue was dropped (book lists alone; see recordings_books)."""
        return self._index.float_residues

    @property
    def skipped(self) -> list[Skipped]:
        """What could not be read: files and row groups at the opening, then rows as `frames` comes to it."""
        return self._opening.skipped + self.log.skipped

    def frames(self, only: Collection[str] | None = None) -> Iterator[Frame]:
        """Every frame, by the venue's timestamps. A broken row raises RecordingError, unless told to skip.

        `only` are the condition ids of the markets wanted; rows of others are counted, and need not be whole.
        """
        self.log = log = ReadLog(self._opening.on_error, None if only is None else frozenset(only))
        frames = without_duplicates(merged(self._index.segments, log), log)
        return frames if only is None else (frame for frame in frames if log.wants(frame.condition_id))


def open_recording(path: PathLike | Sequence[PathLike], *, on_error: OnError = "refuse") -> Recording:
    """Open one file, a folder of files, or several files of one shape.

    Raises RecordingError where a path is missing, a shape is unknown or shapes are mixed; with
    `on_error="refuse"` also where anything in the files is broken (files of text are read through first, so
    they are refused here; a parquet row is refused when `frames` comes to it). With "skip", see `skipped`.
    """
    paths = _paths(path)
    log = ReadLog(on_error)
    by_shape: dict[str, list[Path]] = {}
    for each in paths:
        shape = _shape(each, log)
        if shape:
            by_shape.setdefault(shape, []).append(each)
    return Recording(_index(by_shape, log), log)


def resolvedkit_sample(*, on_error: OnError = "refuse") -> Recording:
    """The sample inside the resolvedkit package: 38,333 books of 18 settled BTC markets, CC BY 4.0.

    Raises RecordingError with the command that installs it where the package is missing.
    """
    try:
        folder = files("resolvedkit") / "sample_data"
    except ModuleNotFoundError as error:
        raise RecordingError(
            "the sample recording is missing, because the package resolvedkit was not installed; "
            "run: pip install 'polytraders-pfh[demo]'"
        ) from error
    return open_recording(Path(str(folder)), on_error=on_error)


def _paths(path: PathLike | Sequence[PathLike]) -> list[Path]:
    given = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    found: list[Path] = []
    for each in given:
        if each.is_dir():
            found += sorted(file for file in each.iterdir() if file.is_file() and file.suffix in _NAMES)
        elif each.is_file():
            found.append(each)
        else:
            raise RecordingError(f"{each}: there was no such file or folder; give a recording that exists")
    if not found:
        where = ", ".join(map(str, given)) or "the list of paths"
        raise RecordingError(f"{where}: held no file named {', '.join(_NAMES)}; give a recording")
    return found


def _index(by_shape: dict[str, list[Path]], log: ReadLog) -> Index:
    if set(by_shape) == {"jsonl"}:
        return jsonl_index(by_shape["jsonl"], log)
    if set(by_shape) == {"raw"}:
        from polytraders_pfh.paper.markets.recordings_parquet import raw_index  # noqa: PLC0415  # needs pyarrow

        return raw_index(by_shape["raw"], log)
    if "books" in by_shape and set(by_shape) <= {"books", "markets"}:
        from polytraders_pfh.paper.markets.recordings_books import books_index  # noqa: PLC0415  # needs pyarrow

        beside = [file for file in (by_shape["books"][0].parent / "markets.parquet",) if file.is_file()]
        return books_index(by_shape["books"], by_shape.get("markets", beside), log)
    if not by_shape and log.on_error == "skip":
        return Index("nothing readable", (), 0, (), ())
    names = {shape: str(files[0]) for shape, files in by_shape.items()}
    raise RecordingError(f"the files were of different shapes: {names}; open one shape at a time")


def _shape(path: Path, log: ReadLog) -> str | None:
    with path.open("rb") as stream:
        head = stream.read(64)
    try:
        if head.startswith(_PARQUET_MAGIC):
            return _parquet_shape(path)
        if head.startswith(GZIP_MAGIC):
            head = _unzipped_head(path)
    except RecordingError as error:
        if log.on_error == "refuse":
            raise
        log.fault(str(path), 0, str(error).removeprefix(f"{path}: "))
        return None
    if head.lstrip().startswith((b"{", b"[", b"PONG", b"PING")):
        return "jsonl"
    log.fault(
        str(path),
        0,
        f"its first bytes were {head[:16]!r}, which is neither parquet nor JSON lines; "
        "known are parquet with a column raw_data, parquet with columns bid_px, bid_sz, ask_px, ask_sz, "
        "and one raw WebSocket frame per line",
    )
    return None


def _parquet_shape(path: Path) -> str:
    try:
        from polytraders_pfh.paper.markets.parquet_files import column_names  # noqa: PLC0415  # needs pyarrow
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"{path}: parquet needs pyarrow, which was not installed; "
            "run: pip install 'polytraders-pfh[paper]'"
        ) from error
    columns = column_names(path)
    if "raw_data" in columns:
        return "raw"
    if columns >= {"market_id", "ts", "side", "bid_px", "bid_sz", "ask_px", "ask_sz"}:
        return "books"
    if columns >= {"market_id", "outcome_up", "outcome_down"}:
        return "markets"
    raise RecordingError(
        f"{path}: its columns were {', '.join(sorted(columns))}; known are raw_data (messages as received) "
        "and market_id, ts, side, bid_px, bid_sz, ask_px, ask_sz (books as lists)"
    )


def _unzipped_head(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(64)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path}: its gzip stream broke off before the first line ({error})") from error

"""What is seen while a run is under way: a live table in a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from polytraders_pfh.core.money import plain
from polytraders_pfh.demo.board import Board, Card
from polytraders_pfh.demo.result import Plan, Progress
from polytraders_pfh.demo.words import (
    bar,
    clock_text,
    date_text,
    order_text,
    short_verdict,
    verdict_style,
)

FRAME_S: Final = 0.1
IDEAS_SHOWN: Final = 4
WIDE: Final = 96


class Screen(Protocol):
    """Shows a run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """Show how it stands now."""
        ...


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, progress: Progress) -> None:
        """Nothing."""


class Lines(Silence):
    """One line per verdict, for pipes and logs."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board
        self._told = 0

    def show(self, progress: Progress) -> None:
        """Print what is new."""
        total = self._board.verdicts.total()
        fresh, self._told = total - self._told, total
        news = list(self._board.news)
        for card, verdict, filled in news[len(news) - min(fresh, len(news)) :]:
            self._console.print(
                f"{clock_text(progress.now_ms)}  #{card.intent.number} {order_text(card.intent)}  "
                f"{card.intent.policy}: {plain(filled)} filled, "
                f"{plain(card.intent.size_micro - filled)} left  {verdict}",
                highlight=False,
                soft_wrap=True,
            )


class LiveTable:
    """The table that a person likes to look at. `title` heads it, `mode` is the plugin's."""

    def __init__(self, console: Console, plan: Plan, board: Board, mode: str, title: str) -> None:
        self._plan = plan
        self._board = board
        self._mode = mode
        self._title = title
        self._shown_s = -1.0
        self._bar = Bar(
            BarColumn(None, complete_style="cyan", finished_style="cyan"),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]:,.0f} frames/s", style="dim"),
            TimeRemainingColumn(compact=True),
            TextColumn("left", style="dim"),
            expand=True,
        )
        self._task = self._bar.add_task("", total=1, rate=0.0)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw at most so many frames a second."""
        if progress.elapsed_s - self._shown_s >= FRAME_S:
            self._shown_s = progress.elapsed_s
            self._live.update(self.drawn(progress), refresh=True)

    def drawn(self, progress: Progress) -> RenderableType:
        """Return the whole picture."""
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        head.add_row(
            Text(self._title, style="bold"),
            Text(f"{date_text(progress.now_ms)} UTC, market time", style="dim"),
        )
        head.add_row(
            Text(f"{self._plan.flow.name}", style="dim"),
            Text(f"fills SIMULATED, {self._mode}, seed {self._plan.seed}", style="dim"),
        )
        rate = progress.moves / progress.elapsed_s if progress.elapsed_s else 0.0
        self._bar.update(self._task, total=max(progress.total, 1), completed=progress.done, rate=rate)
        wide = self._live.console.width >= WIDE
        parts = (head, self._bar, Text(), cards_table(self._board, 10 if wide else 6), self._counts())
        return Panel(Group(*parts), padding=(0, 1), border_style="cyan")

    def _counts(self) -> Text:
        text = Text()
        for verdict, count in self._board.verdicts.most_common():
            text.append(f"{count} ", style="bold")
            text.append(f"{short_verdict(verdict)}   ", style=verdict_style(verdict))
        if self._board.faults:
            text.append(
                f"  {self._board.faults} faults, {self._board.restarts} restarts ", style="bold magenta"
            )
        if self._board.killed:
            text.append(" KILL SWITCH ON ", style="bold white on red")
        return text if text.plain else Text("waiting for the first partial fill …", style="dim")


def cards_table(board: Board, bar_width: int, ideas: int = IDEAS_SHOWN) -> Table:
    """Return the newest ideas that rest or have traded: the order, and how it fares under each policy."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    table.add_column("order", ratio=1, no_wrap=True)
    table.add_column("policy", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("filled", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("verdict", min_width=11, no_wrap=True)
    table.add_column("chase", justify="right", no_wrap=True)
    for cards in _newest(board, ideas):
        for card, text in zip(cards, _order_texts(cards[0], len(cards)), strict=True):
            table.add_row(text, *_row(card, bar_width))
        table.add_row()
    return table


def _newest(board: Board, ideas: int) -> list[list[Card]]:
    by_idea: dict[int, list[Card]] = {}
    for card in board.cards.values():
        by_idea.setdefault(card.intent.number, []).append(card)
    lively = [cards for cards in by_idea.values() if any(card.open or card.filled_micro for card in cards)]
    return lively[-ideas:]


def _order_texts(card: Card, rows: int) -> list[Text]:
    """Return what stands beside the policies of one order: the order, its market, whose it is."""
    intent = card.intent
    first = Text(f"#{intent.number} {order_text(intent)}", style="bold")
    if rows == 1:
        first.append(f"  {intent.title}", style="not bold dim")
    more = [Text(intent.title, style="dim"), Text(f"strategy {intent.style}", style="dim")]
    return [first, *more, *[Text()] * rows][:rows]


def _row(card: Card, bar_width: int) -> Sequence[RenderableType]:
    quiet = "" if card.open else "dim"
    return (
        Text(card.intent.policy, style=quiet),
        Text(bar(card, bar_width), style="green" if card.open else "dim green"),
        Text(plain(card.filled_micro), style=quiet),
        Text(plain(card.left_micro), style=quiet),
        Text(short_verdict(card.verdict), style=verdict_style(card.verdict)),
        Text(card.chase_price, style=quiet),
    )

"""`demo` and `replay` as a person runs them: a flow, a run, a screen, a summary, an exit code."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from polytraders_hookspecs.events import Policy
from rich.console import Console

from polytraders_pfh.demo.errors import DemoError
from polytraders_pfh.demo.flow import Flow
from polytraders_pfh.demo.lanes import POLICIES
from polytraders_pfh.demo.lives import among_the_dead
from polytraders_pfh.demo.market import files_flow, sample_flow, speed_for, synthetic_flow
from polytraders_pfh.demo.result import Plan, Result
from polytraders_pfh.demo.run import Run
from polytraders_pfh.demo.screen import Lines, LiveTable, Screen, Silence
from polytraders_pfh.demo.summary import json_text, print_summary
from polytraders_pfh.demo.trouble import SETTINGS
from polytraders_pfh.demo.world import BOT_SETTINGS
from polytraders_pfh.errors import RecordingError
from polytraders_pfh.host.tracing import otlp_fault
from polytraders_pfh.paper.markets.frames import Skipped
from polytraders_pfh.paper.markets.segments import OnError

EXIT_VIOLATIONS: Final = 1
EXIT_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `demo` was asked for. `speed` None: whatever takes about `seconds`.

    With `faults` the exchange misbehaves as drawn from that seed, and the host is killed now and then.
    With `otlp` every span is sent to that address, over OTLP/HTTP.
    """

    seed: int
    policies: tuple[Policy, ...] = POLICIES
    markets: int = 2
    seconds: Fraction = Fraction(20)
    speed: Fraction | None = None
    synthetic: bool = False
    as_json: bool = False
    faults: int | None = None
    otlp: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `replay` was asked for."""

    paths: Sequence[Path]
    seed: int
    policies: tuple[Policy, ...] = POLICIES
    on_error: OnError = "refuse"
    as_json: bool = False


def run_demo(options: DemoOptions) -> int:
    """Run the demonstration; return the exit code: 0, 1 on a violation, 130 when it was interrupted.

    Raises:
        PfhError: It could not begin or go on; says what to do.
        OSError: No port, or no disk.
    """
    make = synthetic_flow if options.synthetic else sample_flow
    flow: Flow = make(options.seed, options.markets)
    speed = options.speed or speed_for(flow, options.seconds)
    settings = BOT_SETTINGS if options.faults is None else SETTINGS
    plan = Plan(flow, options.seed, options.policies, speed, settings, options.faults, options.otlp)
    if options.otlp is not None and (fault := otlp_fault(options.otlp)):
        raise DemoError(fault)
    title = "Partial fills on made-up books" if options.synthetic else "Partial fills on real recorded books"
    if options.faults is not None:
        title += f", faults of seed {options.faults}"
    return _run(plan, title, options.as_json, lambda: ())


def run_replay(options: ReplayOptions) -> int:
    """Replay recordings as fast as it goes; exit codes as `run_demo`.

    Raises:
        PfhError: A file is missing, unknown or broken, or it could not go on; names file and row.
        OSError: No port, or no disk.
    """
    try:
        flow, recording = files_flow(options.paths, options.on_error)
        plan = Plan(flow, options.seed, options.policies)
        return _run(plan, "Replaying recorded books", options.as_json, lambda: recording.skipped)
    except RecordingError as e:
        # The reader speaks to programmers; here the way to skip is an option.
        raise RecordingError(str(e).replace('open it with on_error="skip"', "add --on-error skip")) from e


def _run(plan: Plan, title: str, as_json: bool, skipped: Callable[[], Sequence[Skipped]]) -> int:
    console = Console(highlight=False)
    run = Run(plan)
    screen = _screen(console, run, title, as_json)
    with _errors_kept() as errors:
        result, interrupted = asyncio.run(_play(run, screen))
    if as_json:
        console.file.write(json_text(result, skipped()) + "\n")
    else:
        print_summary(console, result, skipped())
    complaints = Console(stderr=True, highlight=False)
    for error in errors:
        complaints.print(f"the host said: {error}", style="red", soft_wrap=True, markup=False)
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_VIOLATIONS if result.violations else 0


def _screen(console: Console, run: Run, title: str, as_json: bool) -> Screen:
    if as_json:
        return Silence()
    if console.is_terminal:
        return LiveTable(console, run.plan, run.board, run.mode, title)
    console.print(
        f"{title}: {run.plan.flow.name}; mode {run.mode}, seed {run.plan.seed}, fills are SIMULATED"
    )
    return Lines(console, run.board)


async def _play(run: Run, screen: Screen) -> tuple[Result, bool]:
    """Play; Ctrl-C and SIGTERM end the run after the move that is being made, with the figures so far."""
    interrupted = False

    def on_signal() -> None:
        nonlocal interrupted
        interrupted = run.stopping = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    with screen:
        result = await run.play(screen.show)
    return result, interrupted


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # What a killed host stumbles over on its way down is no news.
        if not among_the_dead():
            self.texts.append(record.getMessage())


@contextlib.contextmanager
def _errors_kept() -> Iterator[list[str]]:
    """Keep what host and plugin log as an error, and let nothing of it disturb the screen."""
    logs, handler = [logging.getLogger(name) for name in ("polytraders_pfh", "opentelemetry")], _Errors()
    propagated = [log.propagate for log in logs]
    for log in logs:
        log.propagate = False
        log.addHandler(handler)
    try:
        yield handler.texts
    finally:
        for log, before in zip(logs, propagated, strict=True):
            log.removeHandler(handler)
            log.propagate = before

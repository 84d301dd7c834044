"""The chase path against its floor and beside the official SDK, as ratios in one run.

    python tests/benchmarks/bench_chase.py [--rounds 9] [--hot 40] [--cold 20] [--pin]

Four processes: an exchange that costs next to nothing on loopback TCP, the same with a round trip of
20 ms, and a worker for each backend of eth-keys (coincurve, and the native one of a plain install). All
sides are interleaved round by round. Ours is the plugin with its durable journal, the host's own adapter
and signer; the floor is the same requests by bare aiohttp and one durable commit; the SDK's side is its
README: cancel, then create and post, in a thread, without asking for the book or for what had filled.
Hot is back to back, cold is after 7 ms of idling. `--pin` puts the exchange on one CPU and the workers on
another. Absolute times drift; compare ratios of one run only.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import chase_exchange
from chase_figures import Figures, median
from chase_ours import STAGES
from chase_sides import COINCURVE, NATIVE, Batch, work

ROUND_TRIP_S: Final = 0.020
COLD_S: Final = 0.007
SIDES: Final = (
    ("floor", "coincurve"),
    ("ours", "coincurve"),
    ("sdk", "coincurve"),
    ("ours", "native"),
    ("sdk", "native"),
)
Rounds = dict[tuple[str, str], list[Figures]]
"""The figures of each round by side and backend."""


class Workers:
    """One worker process for each backend."""

    def __init__(self, directory: str, cpu: int | None) -> None:
        self._pipes: dict[str, Connection] = {}
        self._processes: list[BaseProcess] = []
        for name, backend in (("coincurve", COINCURVE), ("native", NATIVE)):
            ours, theirs = multiprocessing.Pipe()
            os.environ["ECC_BACKEND_CLASS"] = backend
            process = multiprocessing.get_context("spawn").Process(
                target=work, args=(theirs, directory, cpu), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes[name] = ours
            self._processes.append(process)

    def run(self, backend: str, order: Batch | int) -> Figures:
        self._pipes[backend].send(order)
        found: Figures = self._pipes[backend].recv()
        return found

    def stop(self) -> None:
        for pipe in self._pipes.values():
            pipe.send(None)
            pipe.recv()
        for process in self._processes:
            process.join(10)


def compare(workers: Workers, url: str, rounds: int, count: int, idle_s: float) -> Rounds:
    """Run every side once a round, in turn."""
    found: Rounds = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, backend in SIDES:
            found[side, backend].append(workers.run(backend, Batch(side, url, count, idle_s)))
    return found


def over_rounds(rounds: list[Figures], name: str) -> float:
    """Return the median of the rounds' medians."""
    return statistics.median([median(figures, name) for figures in rounds])


def ratio(above: list[Figures], below: list[Figures], name: str, other: str) -> float:
    """Return the median of the rounds' ratios."""
    pairs = zip(above, below, strict=True)
    return statistics.median([median(a, name) / median(b, other) for a, b in pairs])


def verdict(value: float, target: float, *, at_most: bool) -> str:
    met = value <= target if at_most else value >= target
    return f"{'<=' if at_most else '>='} {target:g}x {'met' if met else 'MISSED'}"


def show_floor(found: Mapping[str, Rounds]) -> None:
    print("\n(a) event -> cancel on the wire, event -> post acknowledged, against the floor; µs")
    print(f"{'':<6}{'':<24}{'floor':>9}{'ours':>9}{'ratio':>8}   target")
    for warmth, rounds in found.items():
        floor, ours = rounds["floor", "coincurve"], rounds["ours", "coincurve"]
        for what, mine, target in (
            ("to cancel", "to cancel on the wire", 1.3),
            ("whole", "to post acknowledged", 1.5),
        ):
            for commit in ("sqlite", "fdatasync", "bare"):
                name = f"{what}, {commit}"
                value = ratio(ours, floor, mine, name)
                told = "" if commit == "bare" else verdict(value, target, at_most=True)
                print(
                    f"{warmth:<6}{name:<24}{over_rounds(floor, name):>9.0f}{over_rounds(ours, mine):>9.0f}"
                    f"{value:>8.2f}   {told}"
                )


def show_stages(found: Mapping[str, Rounds]) -> None:
    print("\n    stages, one after the other; µs (floor: the same request alone; its commit is SQLite's)")
    heads = [f"{warmth} {side}" for warmth in found for side in ("floor", "ours", "native")]
    print(f"    {'':<16}" + "".join([f"{head:>13}" for head in heads]))
    extra = ("sign alone", "commit alone", "to report returned")
    for stage in (*STAGES, *extra):
        cells = []
        for rounds in found.values():
            for side in (("floor", "coincurve"), ("ours", "coincurve"), ("ours", "native")):
                known = stage in rounds[side][0]
                cells.append(f"{over_rounds(rounds[side], stage):>13.0f}" if known else f"{'':>13}")
        print(f"    {stage:<16}" + "".join(cells))


def show_sdk(found: Mapping[str, Rounds]) -> None:
    print("\n(b) event -> post acknowledged beside the official SDK (cancel, create and post); µs")
    print(f"{'':<6}{'SDK':<12}{'ours':<12}{'SDK µs':>9}{'ours µs':>9}{'sooner':>8}   target")
    pairs: tuple[tuple[str, str, float | None], ...] = (
        ("native", "coincurve", 5.0),
        ("coincurve", "coincurve", 2.5),
        ("native", "native", None),
    )
    name = "to post acknowledged"
    for warmth, rounds in found.items():
        for theirs in ("native", "coincurve"):
            floor, sdk = rounds["floor", "coincurve"], rounds["sdk", theirs]
            most = ratio(sdk, floor, name, "whole, sqlite")
            print(
                f"{warmth:<6}{theirs:<12}{'the floor':<12}{over_rounds(sdk, name):>9.0f}"
                f"{over_rounds(floor, 'whole, sqlite'):>9.0f}{most:>7.2f}x   bare requests, one commit"
            )
        for theirs, mine, target in pairs:
            sdk, ours = rounds["sdk", theirs], rounds["ours", mine]
            value = ratio(sdk, ours, name, name)
            told = "" if target is None else verdict(value, target, at_most=False)
            print(
                f"{warmth:<6}{theirs:<12}{mine:<12}{over_rounds(sdk, name):>9.0f}"
                f"{over_rounds(ours, name):>9.0f}{value:>7.2f}x   {told}"
            )


def show_signing(workers: Workers, rounds: int) -> None:
    found = {name: [workers.run(name, 50) for _ in range(rounds)] for name in ("coincurve", "native")}
    gain = ratio(found["native"], found["coincurve"], "sign", "sign")
    native, coincurve = (over_rounds(found[name], "sign") for name in ("native", "coincurve"))
    hop = over_rounds(found["coincurve"], "hop")
    print(
        f"\n(c) one signature by the host's signer, inline: native {native:.0f} µs, coincurve "
        f"{coincurve:.0f} µs: {gain:.1f}x; an empty hop to a thread {hop:.0f} µs"
    )


def show_round_trips(workers: Workers, url: str, count: int) -> None:
    floor = workers.run("coincurve", Batch("floor", url, count, 0.0))
    print(f"\n(d) with {ROUND_TRIP_S * 1e3:.0f} ms a round trip; ms")
    print(f"{'':<12}{'in sequence':>12}{'wall':>8}{'allowed':>9}{'floor':>8}   target")
    for backend in ("coincurve", "native"):
        ours = workers.run(backend, Batch("ours", url, count, 0.0))
        waves, wall = ours["waves"][0], median(ours, "to post acknowledged") / 1e3
        allowed = 1.1 * waves * ROUND_TRIP_S * 1e3 + median(floor, "journal") / 1e3
        bare = median(floor, "whole, sqlite") / 1e3
        met = waves <= 4 and wall <= allowed
        print(
            f"{backend:<12}{waves:>12.2f}{wall:>8.1f}{allowed:>9.1f}{bare:>8.1f}"
            f"   <= 4 and <= allowed {'met' if met else 'MISSED'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--hot", type=int, default=40)
    parser.add_argument("--cold", type=int, default=20)
    parser.add_argument("--pin", action="store_true")
    options = parser.parse_args()
    there, here = (0, 1) if options.pin else (None, None)
    near, url = chase_exchange.start(0.0, there)
    far, far_url = chase_exchange.start(ROUND_TRIP_S, there)
    with tempfile.TemporaryDirectory() as directory:
        workers = Workers(directory, here)
        where = "exchange on CPU 0, workers on CPU 1" if options.pin else "not pinned"
        print(f"chase path: {options.rounds} interleaved rounds, medians, {where}, no-op tracer")
        found = {
            "hot": compare(workers, url, options.rounds, options.hot, 0.0),
            "cold": compare(workers, url, options.rounds, options.cold, COLD_S),
        }
        show_floor(found)
        show_stages(found)
        show_sdk(found)
        show_signing(workers, options.rounds)
        show_round_trips(workers, far_url, 15)
        workers.stop()
    for process in (near, far):
        process.terminate()
        process.join(10)


if __name__ == "__main__":
    main()

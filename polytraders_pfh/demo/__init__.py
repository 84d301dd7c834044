"""The product at work: paper exchange, host and plugin on recorded books, judged by an oracle.

    run_demo(DemoOptions(seed=6))            real recorded books, hold, cancel and chase side by side
    run_demo(DemoOptions(seed=6, faults=2))  the same while the exchange misbehaves and hosts are killed
    run_replay(ReplayOptions(paths, seed=6)) the same over recordings of your own
    run_paper(PaperOptions(), print)         the paper exchange alone

Every fill is SIMULATED. The market waits while an order is being handled, so latency is not simulated, and
one seed tells one story on any machine: markets, orders and their ids, fills, verdicts and figures.

With faults, orders of events and figures may differ from run to run; the invariants hold in each.

What may still differ: seconds and frames per second, the ids that the exchange gives to trades, and, since
sockets and timeouts are real, the verdicts of a machine so slow that one call takes seconds.
"""

from polytraders_pfh.demo.app import DemoOptions, ReplayOptions, run_demo, run_replay
from polytraders_pfh.demo.errors import DemoError, NotAtRest
from polytraders_pfh.demo.lanes import POLICIES
from polytraders_pfh.demo.result import Plan, Progress, Result
from polytraders_pfh.demo.run import Run
from polytraders_pfh.demo.serving import PaperOptions, run_paper

__all__ = [
    "POLICIES",
    "DemoError",
    "DemoOptions",
    "NotAtRest",
    "PaperOptions",
    "Plan",
    "Progress",
    "ReplayOptions",
    "Result",
    "Run",
    "run_demo",
    "run_paper",
    "run_replay",
]

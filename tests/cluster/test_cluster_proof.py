"""Real processes on a real bus: killed, stopped, continued, cut off; the exchange's own books are the judge.

The long run is `PYTHONPATH=tests python -m support.cluster_proof --rounds 200`.
"""

from pathlib import Path

import pytest
from support.cluster_proof import proof, run
from support.nats_server import NEEDS_NATS

pytestmark = NEEDS_NATS


@pytest.mark.timeout(240)  # ten rounds take half a minute, and longer on a machine with other work
async def test_ten_rounds_of_dead_stopped_and_cut_off_hosts_leave_nothing_lost_doubled_or_overfilled(
    tmp_path: Path,
) -> None:
    verdict = await run(tmp_path, 10, seed=1, lease_s=1.5)
    print(verdict)

    assert verdict.faults == []
    assert min(verdict.rounds[fault] for fault in ("kill", "stop", "bus")) >= 1
    assert verdict.chases >= 20


@pytest.mark.parametrize("moment", ["checks", "bytes"])
async def test_a_host_that_was_stopped_on_its_way_to_a_post_and_wakes_after_its_lease_sends_nothing(
    tmp_path: Path, moment: str
) -> None:
    async with proof(tmp_path, moment, lease_s=1.5) as going:
        late = await going.late_posts()

    assert late == 0


async def test_the_same_without_the_fence_sends_the_order_late(tmp_path: Path) -> None:
    async with proof(tmp_path, "bytes", "unfenced", lease_s=1.5) as going:
        late = await going.late_posts()

    assert late == 1

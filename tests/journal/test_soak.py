"""A bot that works for long holds no more than at first. PFH_SOAK=1000000 for the long run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EVENTS = int(os.environ.get("PFH_SOAK", "20000"))
TESTS = Path(__file__).parents[1]
BOUNDS = {"seen_events": 64, "max_intents": 256, "max_decision_reports": 64, "ended orders": 64, "books": 1}


@pytest.mark.timeout(60 + EVENTS // 50)
def test_memory_does_not_grow_with_the_events_handled() -> None:
    command = [sys.executable, str(Path(__file__).with_name("soak.py")), str(EVENTS)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])

    assert found["reports"] >= EVENTS  # more where an interim one came first
    assert found["blocks_per_100_000"] < 20_000, ran.stdout
    assert found["risen_mib"] <= 2 + EVENTS // 100_000, (
        ran.stdout
    )  # memory comes in steps, which over a short run are no slope
    assert found["mib_per_100_000"] <= 1 or EVENTS < 200_000, ran.stdout
    for what, count in found["left"].items():
        assert count <= BOUNDS.get(what, 0), what

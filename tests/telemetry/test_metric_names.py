"""Metric names are the documented ones, and the deferred histogram counts like a plain one."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from support.fake_host import FakeHost

from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.deferred import DeferredHistogram


async def test_metrics_are_those_that_are_documented(tmp_path: Path) -> None:
    host = FakeHost(config={}, state_dir=tmp_path)
    await host.start()
    await host.stop()

    text = generate_latest(host.metrics_registry).decode()
    kinds = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE"))
    documented = {metric.full_name: metric.kind for metric in names.METRICS}
    assert {n: k for n, k in kinds.items() if not n.endswith("_created")} == documented


def test_the_card_s_three_metrics_have_their_exact_names_and_labels() -> None:
    prefix = "polytraders_exec_partialfillhandler_"
    assert [(m.full_name, m.kind, tuple(m.labels)) for m in names.METRICS[:3]] == [
        (f"{prefix}decisions_total", "counter", ("verdict",)),
        (f"{prefix}remainder_usd", "histogram", ()),
        (f"{prefix}chase_ticks", "histogram", ()),
    ]


def test_deferred_histogram_counts_like_a_plain_one() -> None:
    registry = CollectorRegistry()
    deferred = DeferredHistogram("waits", "Waits.", (0.1, 1.0), registry)
    for value in [0.05] * 5_000 + [0.5, 2.0]:
        deferred.observe(value)

    assert registry.get_sample_value("waits_bucket", {"le": "0.1"}) == 5_000
    assert registry.get_sample_value("waits_bucket", {"le": "1.0"}) == 5_001
    assert registry.get_sample_value("waits_count") == 5_002
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        DeferredHistogram("waits", "Waits.", (0.1,), registry)

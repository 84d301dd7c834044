"""Writes the Grafana dashboard that ships as package data: python tests/ops/write_dashboard.py"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

from polytraders_pfh.telemetry.names import METRIC_PREFIX

DASHBOARD: Final = Path(__file__).parents[2] / "polytraders_pfh" / "ops" / "assets" / "dashboard.json"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
BOT: Final = METRIC_PREFIX
HOST: Final = "polytraders_host_"

NOW: Final = (
    ("Kill switch", "kill_switch_active", "bool_on_off", 1),
    ("Journal failed", "journal_failed", "bool_yes_no", 1),
    ("Cancels unconfirmed", "cancels_unconfirmed", "short", 1),
    ("Posts unknown", "posts_unknown", "short", 1),
    ("Invariant trips", "invariant_trips_total", "short", 1),
    ("Reports lost", "lost_reports", "short", 1),
    ("Oldest report", "oldest_pending_report_seconds", "s", 60),
)
"""Title, metric, unit, and from where on it is red, of what is shown as one figure."""


def per_second(name: str, label: str = "") -> str:
    """Return the rate of a counter over five minutes, by one of its labels."""
    return f"sum by ({label}) (rate({name}[5m]))" if label else f"sum(rate({name}[5m]))"


def quantile(q: str, name: str, label: str = "") -> str:
    """Return a quantile of a histogram over five minutes, by one of its labels."""
    by = f"le, {label}" if label else "le"
    return f"histogram_quantile({q}, sum by ({by}) (rate({name}_bucket[5m])))"


def spread(name: str) -> tuple[tuple[str, str], ...]:
    """Return median and tail of a histogram with their legends."""
    return (quantile("0.5", name), "half below"), (quantile("0.99", name), "99% below")


DUST: Final = f'{BOT}decisions_total{{verdict="PARTIAL_FILL_DUST_AUTO_CANCEL"}}'
ABORTED: Final = f'{BOT}decisions_total{{verdict="PARTIAL_FILL_CHASE_ABORTED"}}'

ROWS: Final[dict[str, tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]]] = {
    "Decisions": (
        ("Decisions by verdict", "ops", ((per_second(f"{BOT}decisions_total", "verdict"), "{{verdict}}"),)),
        (
            "Dust and aborted chases, share of decisions",
            "percentunit",
            (
                (f"{per_second(DUST)} / {per_second(f'{BOT}decisions_total')}", "dust"),
                (f"{per_second(ABORTED)} / {per_second(f'{BOT}decisions_total')}", "aborted chases"),
            ),
        ),
        ("Remainder at the decision, pUSD", "short", spread(f"{BOT}remainder_usd")),
        ("Adverse ticks of chases", "short", spread(f"{BOT}chase_ticks")),
    ),
    "Time": (
        ("From event to final report", "s", spread(f"{BOT}decide_seconds")),
        (
            "Waits by step, 99% below",
            "s",
            ((quantile("0.99", f"{BOT}step_seconds", "step"), "{{step}}"),),
        ),
        ("Age of events", "s", spread(f"{BOT}event_age_seconds")),
        ("Journal commits", "s", spread(f"{BOT}journal_commit_seconds")),
    ),
    "What the exchange proved": (
        ("Cancels by verdict", "ops", ((per_second(f"{BOT}cancels_total", "verdict"), "{{verdict}}"),)),
        ("Posts by verdict", "ops", ((per_second(f"{BOT}posts_total", "verdict"), "{{verdict}}"),)),
        (
            "Reconciliations by verdict",
            "ops",
            ((per_second(f"{BOT}reconciliations_total", "verdict"), "{{verdict}}"),),
        ),
        (
            "In doubt",
            "short",
            (
                (f"{BOT}cancels_unconfirmed", "cancels unconfirmed"),
                (f"{BOT}posts_unknown", "posts unknown"),
            ),
        ),
    ),
    "Load": (
        (
            "Work",
            "short",
            (
                (f"{BOT}in_flight", "in flight"),
                (f"{BOT}deferred_events", "deferred"),
                (f"{BOT}active_intents", "active intents"),
            ),
        ),
        (
            "Shed and refused events",
            "ops",
            (
                (per_second(f"{BOT}shed_total"), "shed"),
                (per_second(f"{BOT}rejected_events_total", "why"), "{{why}}"),
            ),
        ),
        (
            "Backlogs",
            "short",
            (
                (f"{BOT}journal_backlog_records", "records for the disk"),
                (f"{BOT}pending_reports", "reports for the bus"),
            ),
        ),
        ("Oldest report", "s", ((f"{BOT}oldest_pending_report_seconds", "age"),)),
    ),
    "Reference host": (
        (
            "Events and hook errors",
            "ops",
            (
                (per_second(f"{HOST}events_total", "kind"), "{{kind}}"),
                (per_second(f"{HOST}hook_errors_total", "hook"), "error in {{hook}}"),
            ),
        ),
        (
            "Feeds",
            "short",
            (
                (f"{HOST}feed_connections", "{{feed}} connections"),
                (f"increase({HOST}feed_drops_total[5m])", "{{feed}} drops in 5 min"),
                (f"increase({HOST}unreadable_messages_total[5m])", "{{feed}} unreadable in 5 min"),
            ),
        ),
        (
            "Orders and readings of all open orders",
            "short",
            (
                (f"{HOST}orders", "orders"),
                (f"increase({HOST}reconciliations_total[5m])", "readings {{result}} in 5 min"),
            ),
        ),
        (
            "Posts held back and heartbeats",
            "short",
            (
                (f"increase({HOST}posts_held_total[5m])", "held: {{reason}}"),
                (f"increase({HOST}heartbeats_total[5m])", "heartbeats {{result}}"),
                (f"{HOST}heartbeat_healthy", "heartbeat healthy"),
            ),
        ),
    ),
}
"""By row: title, unit, and each line's expression and legend."""


def query(ref_id: str, expression: str, legend: str) -> prometheus.Dataquery:
    """Return one line of a panel."""
    return prometheus.Dataquery().ref_id(ref_id).expr(expression).legend_format(legend).datasource(SOURCE)


def figure(title: str, unit: str, red_from: int) -> stat.Panel:
    """Return a panel for one figure that is green until it is red."""
    steps = [Threshold(None, "green"), Threshold(red_from, "red")]
    panel = stat.Panel().title(title).unit(unit).datasource(SOURCE).span(3).height(4)
    panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.graph_mode(BigValueGraphMode.NONE)


def lines(title: str, unit: str, targets: tuple[tuple[str, str], ...]) -> timeseries.Panel:
    """Return a panel of lines over time."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
    panel = timeseries.Panel().title(title).unit(unit).datasource(SOURCE).span(6).height(7)
    panel.legend(legend.placement(LegendPlacement.BOTTOM))
    for ref_id, (expression, legend_format) in zip(ascii_uppercase, targets, strict=False):
        panel.with_target(query(ref_id, expression, legend_format).exemplar(True))
    return panel


def rows() -> Iterator[tuple[str, list[stat.Panel | timeseries.Panel]]]:
    """Yield the rows of the board, top to bottom."""
    mode = figure("Mode", "short", 2).text_mode(BigValueTextMode.NAME)
    now = [mode.with_target(query("A", f"{BOT}mode == 1", "{{mode}}").instant())]
    for title, metric, unit, red_from in NOW:
        now.append(figure(title, unit, red_from).with_target(query("A", BOT + metric, title).instant()))
    yield "Now", now
    for row, panels in ROWS.items():
        yield row, [lines(*panel) for panel in panels]


def built() -> str:
    """Return the dashboard as JSON text."""
    board = (
        dashboard.Dashboard("PartialFillHandler")
        .uid("polytraders-pfh")
        .tags(["polytraders", "exec.partialfillhandler"])
        .refresh("10s")
        .time("now-30m", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    ids = count(1)
    for row, panels in rows():
        board.with_row(dashboard.Row(row).id(next(ids)))
        for panel in panels:
            board.with_panel(panel.id(next(ids)))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def expressions(board: dict[str, Any]) -> dict[str, str]:
    """Return every expression of a dashboard by panel and legend."""
    return {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }


if __name__ == "__main__":
    DASHBOARD.write_text(built())

"""The end of a run: what happened, policy by policy, and what the oracle found; as a page or as JSON."""

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from polytraders_hookspecs import otel_trace_id
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from polytraders_pfh.core.money import MICRO, plain
from polytraders_pfh.demo.result import Result
from polytraders_pfh.demo.tally import Figures, price_text
from polytraders_pfh.demo.words import verdict_style
from polytraders_pfh.host.config import SERVICE_NAME
from polytraders_pfh.paper.markets.frames import Skipped
from polytraders_pfh.telemetry.names import ATTR_TRACE_ID

SKIPPED_SHOWN = 10
MARKETS_NAMED = 3


def print_summary(console: Console, result: Result, skipped: Iterable[Skipped] = ()) -> None:
    """Print the page."""
    plan = result.plan
    console.print()
    console.print(Text("What became of the partial fills", style="bold"), Text("(every fill SIMULATED)"))
    console.print(_facts(result))
    titles = [market.title for market in plan.flow.markets]
    more = f" and {len(titles) - MARKETS_NAMED} more" if len(titles) > MARKETS_NAMED else ""
    console.print(Text("; ".join(titles[:MARKETS_NAMED]) + more, style="dim"))
    console.print(_policies(result.figures))
    console.print(_verdicts(result))
    if plan.faults is not None:
        console.print(_faults(result))
    _print_skipped(console, list(skipped))
    if not result.complete:
        console.print(Text("stopped early: the figures are those so far", style="yellow"))
    _print_violations(console, result)
    if plan.otlp is not None:
        console.print(_search(result))
    console.print(Text(f"data: {plan.flow.name}; {plan.flow.credit}", style="dim"))


def json_text(result: Result, skipped: Iterable[Skipped] = ()) -> str:
    """Return the result as one line of JSON. Sizes are exact decimal texts, prices rounded to millionths."""
    plan = result.plan
    members: dict[str, Any] = {
        "orders": result.orders,
        "chase_orders": result.chase_orders,
        "partial_fills": result.partial_fills,
        "verdicts": dict(sorted(result.verdicts.items())),
        "warnings": dict(sorted(result.warnings.items())),
        "violations": len(result.violations),
        "violation_list": [
            {"rule": each.rule, "where": each.where, "text": each.text} for each in result.violations
        ],
        "simulated_fills": True,
        "policies": [_row(each) for each in result.figures],
        "kill_switch_cancelled": result.killed,
        "mode": result.mode,
        "seed": plan.seed,
        "markets": [
            {"condition_id": market.market.condition_id, "title": market.title}
            for market in plan.flow.markets
        ],
        "source": plan.flow.name,
        "attribution": plan.flow.credit,
        "frames": result.moves,
        "seconds": round(result.elapsed_s, 3),
        "frames_per_second": round(_rate(result), 1),
        "complete": result.complete,
        **_trouble(result),
        **_sent(result),
        "skipped": [{"file": each.file, "row": each.row, "reason": each.reason} for each in skipped],
    }
    return json.dumps(members, ensure_ascii=False)


def _trouble(result: Result) -> dict[str, Any]:
    if result.plan.faults is None:
        return {}
    return {
        "faults_seed": result.plan.faults,
        "faults": dict(sorted(result.faults.items())),
        "restarts": result.restarts,
    }


def _sent(result: Result) -> dict[str, Any]:
    if result.plan.otlp is None:
        return {}
    orders = [
        {"verdict": verdict, "tag": f"{ATTR_TRACE_ID}={trace_id}", "trace": f"{otel_trace_id(trace_id):032x}"}
        for verdict, trace_id in sorted(result.examples.items())
    ]
    return {"otlp": {"sent_to": result.plan.otlp, "service": SERVICE_NAME, "search": orders}}


def _search(result: Result) -> Text:
    """Say what to type into Jaeger's search, with one order for each verdict."""
    text = Text(f"Spans were sent to {result.plan.otlp}. In Jaeger: ", style="bold")
    text.append(f"Service {SERVICE_NAME}, Tags one of\n", style="not bold")
    width = max((len(trace_id) for trace_id in result.examples.values()), default=0)
    for verdict, trace_id in sorted(result.examples.items()):
        text.append(f"  {ATTR_TRACE_ID}={trace_id:<{width}}", style="cyan not bold")
        text.append(f"  {verdict}\n", style=verdict_style(verdict))
    return text


def _row(figures: Figures) -> dict[str, Any]:
    return {
        "policy": figures.policy,
        "side": figures.side,
        "orders": figures.orders,
        "fully_filled": figures.fully_filled,
        "partial_fills": figures.partial_fills,
        "shares_wanted": plain(figures.wanted_micro),
        "shares_filled": plain(figures.filled_micro),
        "shares_left": plain(figures.left_micro),
        "intent_price": _price_or_none(figures.intent_price),
        "blended_price": _price_or_none(figures.blended_price),
        "cost_per_share": price_text(figures.cost_per_share, 6),
        "chases": figures.chases,
        "max_adverse_ticks": float(figures.max_adverse_ticks),
    }


def _price_or_none(price: Fraction | None) -> str | None:
    return None if price is None else price_text(price, 6)


def _rate(result: Result) -> float:
    return result.moves / result.elapsed_s if result.elapsed_s else 0.0


def _facts(result: Result) -> Text:
    killed = "" if result.killed is None else f"; kill switch at the end: {result.killed} cancelled"
    return Text(
        f"{_count(result.orders, 'order')} in {_count(len(result.plan.flow.markets), 'market')}, "
        f"{_count(result.partial_fills, 'partial fill')}, "
        f"{_count(result.chase_orders, 'chase order')}{killed}. "
        f"{_count(result.moves, 'frame')} in {result.elapsed_s:.1f} s ({_rate(result):,.0f}/s), "
        f"seed {result.plan.seed}, mode {result.mode}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _policies(figures: Iterable[Figures]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    table.add_column("policy", no_wrap=True)
    table.add_column("side", no_wrap=True)
    for name in ("orders", "filled", "left", "intent", "blended", "cost", "chases", "ticks"):
        table.add_column(name, justify="right", no_wrap=True)
    last = ""
    for each in figures:
        if last and each.policy != last:
            table.add_section()
        table.add_row(
            each.policy if each.policy != last else "",
            each.side,
            str(each.orders),
            f"{each.filled_micro / MICRO:,.0f}",
            f"{each.left_micro / MICRO:,.0f}",
            price_text(each.intent_price),
            price_text(each.blended_price),
            Text(price_text(each.cost_per_share), style="red" if each.cost_pico > 0 else ""),
            str(each.chases),
            f"{float(each.max_adverse_ticks):g}",
        )
        last = each.policy
    table.caption = (
        "filled and left in shares; intent and blended price over what filled, cost per share beyond the "
        "intent's price; ticks: the worst fill's distance from it"
    )
    table.caption_justify = "left"
    return table


def _verdicts(result: Result) -> Text:
    text = Text()
    for verdict, count in sorted(result.verdicts.items(), key=lambda item: (-item[1], item[0])):
        text.append(f"{count:>6} ", style="bold")
        text.append(f"{verdict}\n", style=verdict_style(verdict))
    for warning, count in sorted(result.warnings.items(), key=lambda item: (-item[1], item[0])):
        text.append(f"{count:>6} {warning} (warning)\n", style="dim")
    return text


def _faults(result: Result) -> Text:
    kinds = _count(len(result.faults), "kind")
    text = Text("What went wrong meanwhile", style="bold")
    times, restarts = sum(result.faults.values()), _count(result.restarts, "restart")
    text.append(f" ({times} times, {kinds}; {restarts} of the host)\n", style="not bold")
    for name, count in sorted(result.faults.items(), key=lambda item: (-item[1], item[0])):
        text.append(f"{count:>6} ", style="bold not italic")
        text.append(f"{name}\n", style="not bold")
    return text


def _print_violations(console: Console, result: Result) -> None:
    count = len(result.violations)
    if not count:
        console.print(
            Text("0 invariant violations", style="bold green"), Text("(judged on the exchange's records)")
        )
        return
    console.print(Text(_count(count, "invariant violation"), style="bold red"))
    for violation in result.violations:
        console.print(Text(f"  {violation}", style="red"), soft_wrap=True)


def _print_skipped(console: Console, skipped: list[Skipped]) -> None:
    for each in skipped[:SKIPPED_SHOWN]:
        place = f"{each.file}, row {each.row}" if each.row else each.file
        console.print(Text(f"skipped {place}: {each.reason}", style="yellow"), soft_wrap=True)
    if len(skipped) > SKIPPED_SHOWN:
        console.print(Text(f"… and {len(skipped) - SKIPPED_SHOWN} more were skipped", style="yellow"))

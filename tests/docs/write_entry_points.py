"""Writes `entry_points.md`, the contract of record, from the code it speaks of.

    python tests/docs/write_entry_points.py

A test holds the file in the repository to what this writes.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from polytraders_hookspecs import specs
from pydantic import BaseModel

from polytraders_pfh.config import Settings
from polytraders_pfh.core.gates import (
    DAY_MS,
    DUST_PERCENT,
    HOUR_MS,
    LEAST_CHASES,
    LEAST_FILLS,
    LEAST_TESTS,
    LIVE_RUN_MS,
    LIVE_SILENCE_MS,
    LONGEST_AGE_MS,
    SHADOW_RUN_MS,
    SHADOW_SILENCE_MS,
)
from polytraders_pfh.core.lifecycle import diagram
from polytraders_pfh.core.reasons import TEXTS
from polytraders_pfh.host.health import HOST_HEALTH
from polytraders_pfh.host.metrics import HOST_METRICS
from polytraders_pfh.ops.health import FIGURES
from polytraders_pfh.ops.story import SCHEMA_VERSION, Story
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.names import DECISIONS, METRICS, Metric

DOCUMENT: Final = Path(__file__).parents[2] / "entry_points.md"

SPANS: Final = sorted(value for name, value in vars(names).items() if name.startswith("SPAN_"))
HEAD: Final = """# Entry points: the contract of record

A plugin names its module in the entry-point group `polytraders`; a host finds it there and calls its
hooks. The package `polytraders_hookspecs` carries the markers, the models and the services; it imports
nothing of this plugin. Contract version **1.1** (`HOOKSPEC_VERSION`): the minor number grows when
something is added, the major when something changes; a bot that needs more than its host offers is
refused at `register_bot` with a sentence that names both.

```toml
[project.entry-points.polytraders]
"exec.partialfillhandler" = "polytraders_pfh.plugin"
```

```python
from polytraders_hookspecs import gather_hook, new_plugin_manager

manager = new_plugin_manager()
manager.load_setuptools_entrypoints("polytraders")
manager.check_pending()
for bot in manager.hook.register_bot(host=services):  # services: a HostServices
    manager.register(bot, bot.describe_bot().bot_id)
results = await gather_hook(manager.hook.on_partial_fill, envelope=signed_event)
```

pluggy only collects coroutines, so awaited hooks are called through `gather_hook` (every answer, each
isolated, in pluggy's order, under one deadline) and `first_hook` (the first answer other than None).
Wrappers around hooks are refused (`refuse_wrappers`), since the host awaits the bodies itself.

## Hooks, in the order of a bot's life

| hook | when | deadline |
|---|---|---|"""

AFTER_HOOKS: Final = r"""
Each hook's full contract (arguments, return, ordering and failure policy) is its docstring in
`polytraders_hookspecs/specs.py`.

## Services of a host

`HostServices` is a Protocol whose parts are Protocols of at most five methods, so any host can supply
any of them: `hookspec_version` · `config` · `event_keys` · `clob_public.get_book` ·
`clob_auth.cancel_orders / post_order / get_order / get_trades` · `signer.sign_order` ·
`kill_switch.status` · `orders.get / open_partials` · `reports.publish` · `hooks` · `tracer_provider` ·
`metrics_registry` · `clock.now_ms / monotonic_ns / sleep` · `state_dir`; and where several hosts share
the orders `fence.token / still_held` and `shared_log.append / read`.

`clob_auth` carries answers and does not judge them: it returns an `ExchangeReply` with status, headers
and bytes (`status=None` when no complete answer came), sends one request per call, never retries and
never signs. What each answer proves is decided in one place, `polytraders_pfh/core/outcomes.py`.

## Signed events

`sign_event(key_id=, key=, event_ts_ms=, trace_id=, body=)` signs the bytes
`polytraders-event-v1\n` `key_id\n` `event_ts_ms\n` `trace_id\n` `body` with HMAC-SHA256, lower-case hex.
Header fields match `[A-Za-z0-9_.:-]{1,64}`; bodies are JSON of at most 64 KiB. Two keys may be active at
once. Numbers are exact: JSON numbers and strings are both read, never through binary floating point.

## Traces

One trace per `trace_id`: for `trc_` and 16 hex digits the OTel trace id is those 16 digits and the first
16 of SHA-256(`polytraders/otel/1\0` + trace_id); for anything else the first 32 of that hash
(`otel_trace_id`). A host that builds its provider with `polytraders_hookspecs.tracing.PolytradersIdGenerator`
gets every span of an order in that one trace; under any other provider spans are children of the host's
and linked to it. `polytraders.trace_id` stands on every span.

One event is one span, `pfh.partial_fill`, with what was decided from and what came of it as attributes,
warnings and refusals as events; what waits has a span below it. Each attempt to send a report is a producer's
span by the messaging conventions. A report names its event's span as `traceparent`, in the journal too, so
that what is sent after a restart stays in the trace.

{spans}

## The life of a remainder

Drawn from the table in `polytraders_pfh/core/lifecycle.py`.

```mermaid"""

AFTER_DIAGRAM: Final = """```

## Verdicts and warnings

| code | severity | meaning |
|---|---|---|"""

METRICS_HEAD: Final = """
## Metrics

The bot's stand in the registry that the host gives; those named `polytraders_host_` are the reference host's
own. Labels have the values listed here and no others; ids are on spans. In OpenMetrics form, which
`GET /metrics` serves when asked for by `Accept`, the counter of decisions and the histograms of what a
sampled span covers carry exemplars with its `trace_id`.

| metric | kind | unit | labels | meaning |
|---|---|---|---|---|"""

HEALTH_HEAD: Final = """
## Health

`check_health` answers a `BotHealth`: `bot_id`, `status` (`green`, `amber`, `red`), `reasons` (a sentence
each, the red ones first, empty when green), `mode`, `kill_switch_active`, and `figures`. Names, types and
meanings are stable within a contract version; new figures may be added. The reference host serves it as
JSON at `GET /internal/health/partialfillhandler`, with status 503 when red.

| figure | meaning |
|---|---|"""

STORY_HEAD: Final = """
## `explain --json`

One object, `Story`. Amounts are decimal texts, times Unix milliseconds; what is not known is null.
`schema_version` is **{}** and grows when a field changes its meaning or goes; added fields leave it.

| object | field | type |
|---|---|---|"""

GATES: Final = f"""
## Promotion gates

`polytraders-pfh gates JOURNAL` computes the card's three, each with its figure, threshold and evidence by
record number; anything that is missing refuses. What the card leaves open is settled in
`polytraders_pfh/core/gates.py`.

| gate | evidence | passes |
|---|---|---|
| `to_shadow` | a JUnit report of the tests, `--junit FILE` | at least {LEAST_TESTS} tests ran, none \
failed, dust and thin-book scenarios passed, at most 1 in 20 was skipped |
| `to_limited_live` | the latest run of `shadow_only` reports in the journal | {SHADOW_RUN_MS // HOUR_MS} h \
without a silence of more than {SHADOW_SILENCE_MS // HOUR_MS} h, at least {LEAST_CHASES} chase orders, none \
beyond original_price ± chase_max_ticks x tick_size |
| `to_general_live` | the latest run of `limited_live` reports in the journal, and with `--prometheus URL` \
`{DECISIONS.full_name}` over the same time | {LIVE_RUN_MS // DAY_MS} days without a silence of more than \
{LIVE_SILENCE_MS // HOUR_MS} h, at least {LEAST_FILLS} partial fills, dust cancels below \
{DUST_PERCENT}%, both counts within 1% of the fills |

A run that ended more than {LONGEST_AGE_MS // DAY_MS} days ago is none. Going down needs no gate:
`polytraders-pfh mode shadow_only` lowers the mode while the host runs, at once, and holds back what has not
been sent; or lower `mode` in the config. A host that acts on the real exchange asks `core.gates.refusal`
first: it wants the gate of its mode passed, or an override with a name and a reason."""

HOST_HEALTH_HEAD: Final = """
The reference host knows from its own calls whether the exchange answers, and adds that to what a bot says:
its trading side silent is red, its books silent amber. `GET /internal/health` is the host's own:

| member | meaning |
|---|---|"""

STEERING: Final = """
## Steering by hand

`bot COMMAND BOT_ID [--name value]`, `status`, `mode [MODE] [--promote]`, `kill` and `reset-kill` knock at the
door of a running host: `POST /v1/order` over HTTP on the Unix socket `STATE_DIR/admin/socket`, or on loopback
at the address in `admin/url`, with `Authorization: Bearer` and what stands in `admin/token`. The body is
`{"command", "options", "by", "reason"}`, the answer `{"ok", "message", "data"}` (what `--json` prints), with
status 400 when it was not understood and 401 when the token is missing, wrong, or could be known by others.
This bot's own commands are `cancel-remainder` (`order`), `mode` (`to`, `promote`), `reset-kill` and `status`.
Every command but `status` is on record in the bot's journal with actor, peer (the caller's user id, as the
socket tells it) and reason. In the host's config: `[admin] door = "socket" | "loopback" | "off"`, `port`.
`doctor --json` prints `{"ok", "findings": [{"check", "verdict", "found", "mend"}]}`."""

SETTINGS_HEAD: Final = """
## Configuration

The card's `default_config` loads unchanged. Everything else is optional; unknown keys, wrong types and
values out of bounds are refused at start, each with its path, its value and its rule.

| key | default | meaning |
|---|---|---|"""

MEANINGS: Final = {
    "bot_id": "must be this bot's",
    "version": "the config's own version, for the record",
    "enabled": "false builds no bot",
    "mode": (
        "`shadow_only` decides and reports; `quarantine` may cancel; `limited_live` acts on listed markets; "
        "`general_live` acts"
    ),
    "gate_override": "`who` runs `mode` without its promotion gate and `why`; on record at every start",
    "defaults.default_policy": "hold, cancel or chase, where the strategy declared none",
    "defaults.min_remainder_size": "pUSD; smaller remainders are cancelled as dust (not below 1)",
    "defaults.chase_max_ticks": "adverse ticks from the root price (not above 10)",
    "defaults.cancel_on_book_thin": "cancel when the five best contra levels hold less than the remainder",
    "locked.min_remainder_size.min": "lower bound for the config and every override; may be drawn tighter",
    "locked.chase_max_ticks.max": "upper bound for the config and every override; may be drawn tighter",
    "execution.max_in_flight": "partials in work at once; the rest is shed and looked at again",
    "execution.resume_in_flight": "shed orders are looked at again below this many in work",
    "execution.timeout_ms": "to decide and begin; then an interim report",
    "execution.call_timeout_ms": "for each request to exchange, signer, bus and kill switch",
    "execution.cancel_retries": "further cancels after the first one without proof",
    "execution.read_retries": "further reads of an order's record that did not answer",
    "execution.backoff_ms": "before the first retry; doubles with each",
    "execution.trades_back_ms": "how far back trades are read to confirm what an order filled",
    "execution.reconcile_every_ms": "between background questions about what is in doubt",
    "execution.replay_past_ms": "older events move nothing by themselves",
    "execution.replay_future_ms": "events further ahead of the clock move nothing by themselves",
    "execution.seen_events": "answers kept for duplicates",
    "execution.max_intents": "intents kept in memory",
    "execution.max_decision_reports": "declarations of strategies kept",
    "execution.max_pending_reports": "reports waiting for the bus before posting stops",
    "execution.tombstone_ms": "how long late fills on ended intents are still counted",
    "execution.cancel_batch": "order ids in one cancel request of a kill switch",
    "book.levels": "levels that depth is summed over",
    "book.max_age_ms": "an older book is not trusted",
    "book.depth_side": (
        "`contra` can fill the remainder; `own` reads the card to the letter, the remainder itself left out"
    ),
    "book.default_min_shares": "minimum order in shares where the market does not say",
    "book.fill_rate_window_ms": "window of the recent fill rate behind `expected_fill_seconds`",
    "book.max_tokens": "tokens whose books are kept",
    "chase.max_reposts": "chase orders per intent",
    "chase.max_seconds": "from the intent's first chase",
    "chase.max_extra_usd": "pUSD beyond the root price per intent",
    "chase.closing_margin_ms": "no chase this close to the market's end",
    "limited_live.markets": "condition ids",
    "limited_live.max_chase_usd": "pUSD per chase",
    "journal.durable": (
        "keep the log in the state directory; false keeps it in memory, and after a crash only the exchange "
        "knows"
    ),
    "overrides": "per strategy id: the four parameters of `defaults`",
}
""" What each setting means; every one has to be here."""


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting's path and default."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field.get_default(call_default_factory=True)


def shown(value: Any) -> str:
    """Return a default as a config file would have it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple | dict):
        return "[]" if isinstance(value, tuple) else "{}"
    return str(value)


def shown_labels(metric: Metric) -> str:
    """Return a metric's label with its values; the verdicts stand in a table of their own."""
    if metric.labels == DECISIONS.labels:
        return "`verdict`: a code above"
    return "; ".join(f"`{label}`: {', '.join(values)}" for label, values in metric.labels.items()) or "—"


def section(docstring: str, name: str) -> str:
    """Return one section of a hook's docstring on one line."""
    return " ".join(docstring.split(f"{name}:")[1].split("\n\n", maxsplit=1)[0].split())


def story() -> Iterator[str]:
    """Yield a row for every field of what `explain --json` prints."""
    schema = Story.model_json_schema()
    for name, model in [("Story", schema), *schema["$defs"].items()]:
        meaning = " ".join(model["description"].split())
        yield f"| **{name}** | | {meaning} |"
        for field, kind in model["properties"].items():
            yield f"| | `{field}` | {type_of(kind)} |"


def type_of(kind: dict[str, Any]) -> str:
    """Return a JSON type in words."""
    if "$ref" in kind:
        return kind["$ref"].rsplit("/", 1)[1]
    if "anyOf" in kind:
        return " or ".join(type_of(one) for one in kind["anyOf"])
    if "enum" in kind or "const" in kind:
        return ", ".join(f"`{one}`" for one in kind.get("enum", [kind.get("const")]))
    if kind["type"] == "array":
        parts = kind.get("prefixItems")
        return f"[{', '.join(map(type_of, parts))}]" if parts else f"list of {type_of(kind['items'])}"
    return str(kind["type"])


def document() -> str:
    """Return the whole page."""
    lines = [HEAD]
    for name in specs.HOOK_NAMES:
        hook = getattr(specs, name)
        text, arguments = inspect.getdoc(hook) or "", ", ".join(inspect.signature(hook).parameters)
        lines.append(f"| `{name}({arguments})` | {section(text, 'When')} | {section(text, 'Deadline')} |")
    spans = " · ".join(f"`{span}`" for span in SPANS)
    lines += [AFTER_HOOKS.replace("{spans}", f"Spans: {spans}"), diagram(), AFTER_DIAGRAM]
    for reason, told in TEXTS.items():
        lines.append(f"| `{reason.value}` | {told.severity.value} | {told.meaning} |")
    lines.append(METRICS_HEAD)
    for metric in METRICS + HOST_METRICS:
        labels = shown_labels(metric)
        lines.append(
            f"| `{metric.full_name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |"
        )
    lines.append(HEALTH_HEAD)
    lines += [f"| `{name}` | {meaning} |" for name, meaning in FIGURES.items()]
    lines += [STORY_HEAD.format(SCHEMA_VERSION), *story()]
    lines.append(GATES)
    lines.append(HOST_HEALTH_HEAD)
    lines += [f"| `{name}` | {meaning} |" for name, meaning in HOST_HEALTH.items()]
    lines.append(STEERING)
    lines.append(SETTINGS_HEAD)
    lines += [f"| `{path}` | {shown(value)} | {MEANINGS[path]} |" for path, value in settings(Settings)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())

"""Whether what watches is wired: spans to their collector, metrics in the registry, reports to their bus."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
from polytraders_hookspecs import Clock

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.config import HostConfig, TelemetrySection
from polytraders_pfh.host.doctor.finding import Finding, right, skipped, warning, wrong
from polytraders_pfh.host.report_bus import ReportDoor
from polytraders_pfh.telemetry.names import METRICS

_CALL: Final = aiohttp.ClientTimeout(total=5.0)
_OK: Final = 200
_MULTIPLE: Final = 300
_HOST_METRIC: Final = "polytraders_host_orders"
_PROTOBUF: Final = {"Content-Type": "application/x-protobuf"}


async def look(
    read: HostConfig, environ: Mapping[str, str], clock: Clock, is_running: bool
) -> AsyncIterator[Finding]:
    """Look at traces, metrics and the report bus."""
    yield await _traces(read.telemetry)
    yield await _metrics(read, is_running)
    yield await _reports(read, environ, clock, is_running)


async def _traces(section: TelemetrySection) -> Finding:
    """Send the collector an export without a single span, which is a whole request all the same."""
    check, endpoint = "traces", section.otlp_endpoint
    if endpoint is None:
        return skipped(check, "telemetry.otlp_endpoint is not set; spans are made and dropped")
    url, mend = f"{endpoint}/v1/traces", "start the collector, or mend telemetry.otlp_endpoint"
    try:
        async with (
            aiohttp.ClientSession(timeout=_CALL) as session,
            session.post(url, data=b"", headers=_PROTOBUF) as reply,
        ):
            status = reply.status
    except (aiohttp.ClientError, OSError, TimeoutError) as e:
        return wrong(check, f"{url} does not answer: {e or 'no answer within 5 s'}", mend)
    if _OK <= status < _MULTIPLE:
        return right(check, f"{url} takes spans")
    return wrong(check, f"{url} answers with status {status}", mend)


async def _metrics(read: HostConfig, is_running: bool) -> Finding:
    """Scrape a running host as Prometheus would, and look for its own and the bot's metrics."""
    check = "metrics"
    if not is_running:
        return skipped(check, "no host runs here; start it and look again")
    try:
        url = (read.host.state_dir / "http_url").read_text(encoding="ascii").strip()
        async with aiohttp.ClientSession(timeout=_CALL) as session, session.get(f"{url}/metrics") as reply:
            text = await reply.text()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as e:
        return wrong(check, f"the running host's window does not answer: {e}", "restart the host")
    enabled = BOT_ID in read.bots and read.bots[BOT_ID].enabled
    wanted = [_HOST_METRIC, *([metric.full_name for metric in METRICS] if enabled else [])]
    lacking = [name for name in wanted if f"\n# TYPE {name.removesuffix('_total')}" not in f"\n{text}"]
    if lacking:
        return wrong(check, f"{url}/metrics lacks {', '.join(lacking[:3])}", "see why the bot is not running")
    return right(check, f"{url}/metrics shows all {len(wanted)} of host and bot")


async def _reports(read: HostConfig, environ: Mapping[str, str], clock: Clock, is_running: bool) -> Finding:
    """Connect to the bus; a file is the running host's own, so that is left alone."""
    check, kind = "reports", read.reports.bus
    if kind == "memory":
        return warning(check, "they are kept in memory and die with the host", 'set reports.bus to "file"')
    if kind == "file":
        folder = read.reports_file.parent
        if folder.is_dir() or folder == read.host.state_dir:
            return right(check, f"they go to {read.reports_file}")
        return wrong(check, f"{folder} is no directory", "create it, or mend reports.file")
    try:
        async with AsyncExitStack() as stack:
            link = ReportDoor(read, environ, clock).link
            assert link is not None
            stack.push_async_callback(link.close)
            await link.open()
    except PfhError as e:
        return wrong(check, e)
    return right(check, "the bus with JetStream answers")

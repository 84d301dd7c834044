"""A whole host whose reports go to the bus: its config, its sentences, its services."""

from pathlib import Path
from typing import Any

import pytest
from support.host_stage import host_stage
from support.nats_server import NEEDS_NATS, nats_server
from support.orders import MARKET

from polytraders_pfh.errors import ConfigError
from polytraders_pfh.host import HostConfig
from polytraders_pfh.host.cluster.link import BusLink
from polytraders_pfh.host.config_nats import NatsSection
from polytraders_pfh.host.errors import BusError
from polytraders_pfh.telemetry.traceparent import traceparent

TOPIC = "polytraders.reports.execution"


def members(**changes: Any) -> dict[str, Any]:
    return {
        "host": {"state_dir": "state"},
        "exchange": {"rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1/ws"},
        "wallet": {"key": {"env": "PK"}},
        **changes,
    }


def test_a_bus_without_an_address_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r'reports.bus "nats" needs a section \[nats\] with its servers'):
        HostConfig.from_members(members(reports={"bus": "nats"}))


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"leave user name and password out of the address") as caught:
        HostConfig.from_members(members(nats={"servers": ["nats://ann:hunter2@127.0.0.1:4222"]}))

    assert "hunter2" not in str(caught.value)


def test_an_address_that_is_none_says_what_one_looks_like() -> None:
    with pytest.raises(ConfigError, match=r"nats\.servers\.0 was 'localhost'.*such as nats://127.0.0.1:4222"):
        HostConfig.from_members(members(nats={"servers": ["localhost"]}))


def test_a_list_that_is_no_list_of_addresses_does_not_show_what_may_be_a_password() -> None:
    with pytest.raises(ConfigError) as caught:
        HostConfig.from_members(members(telemetry={"otlp_endpoint": ["https://ann:hunter2@x"]}))

    assert "hunter2" not in str(caught.value)


@NEEDS_NATS
async def test_what_a_bot_publishes_is_in_the_stream(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as server:
        changes = {"reports": {"bus": "nats"}, "nats": {"servers": [server.url]}}
        async with host_stage(tmp_path, **changes) as stage:
            assert stage.bot.host is not None
            with stage.host.tracers.get_tracer("t").start_as_current_span("send") as span:
                await stage.bot.host.reports.publish(TOPIC, "trc_1", b"{}", "m1")
        link = BusLink(NatsSection(servers=(server.url,)), "test")
        await link.open()
        kept = await link.jetstream.get_msg("POLYTRADERS_REPORTS", 1)
        await link.close()

    assert (kept.subject.rpartition(".")[0], kept.data) == (TOPIC, b"{}")
    assert kept.headers is not None
    assert (kept.headers["Nats-Msg-Id"], kept.headers["Polytraders-Key"]) == ("m1", "trc_1")
    assert kept.headers["traceparent"] == traceparent(span)


async def test_a_host_whose_bus_is_not_there_does_not_start_and_has_sent_no_order(tmp_path: Path) -> None:
    changes = {"reports": {"bus": "nats"}, "nats": {"servers": ["nats://127.0.0.1:9"], "connect_s": 0.3}}

    with pytest.raises(BusError, match="start nats-server with JetStream there, or mend the address"):
        async with host_stage(tmp_path, **changes):
            pytest.fail(f"started for {MARKET}")

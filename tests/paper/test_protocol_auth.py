"""API keys and signed calls, through the official SDK and with headers bent by hand."""

import asyncio
import json

import pytest
from py_clob_client_v2.clob_types import RequestArgs
from py_clob_client_v2.headers.headers import create_level_1_headers, create_level_2_headers
from py_clob_client_v2.signer import Signer
from support.paper_stage import START_MS, Stage, Trader, paper_stage, private_key, refusal

from polytraders_pfh.paper.protocol.auth import Gatekeeper, KeyRing
from polytraders_pfh.paper.protocol.refusals import Refused
from polytraders_pfh.paper.protocol.venue import VenueOptions

INVALID_KEY = {"error": "Unauthorized/Invalid api key"}
INVALID_L1 = {"error": "Invalid L1 Request headers"}


async def test_a_created_key_can_be_derived_again_and_nonces_make_different_keys() -> None:
    async with paper_stage() as stage:
        client = stage.client(1)
        created = await asyncio.to_thread(client.create_api_key)
        derived = await asyncio.to_thread(client.derive_api_key)
        another = await asyncio.to_thread(client.create_api_key, 5)

    assert derived == created
    assert another.api_key != created.api_key


async def test_creating_a_key_twice_is_refused_and_create_or_derive_copes() -> None:
    async with paper_stage() as stage:
        client = stage.client(1)
        created = await asyncio.to_thread(client.create_api_key)

        assert await refusal(client.create_api_key) == (400, {"error": "Could not create api key"})
        assert await asyncio.to_thread(client.create_or_derive_api_key) == created


async def test_a_key_that_was_never_created_cannot_be_derived() -> None:
    async with paper_stage() as stage:
        answer = await refusal(stage.client(1).derive_api_key)

    assert answer == (400, {"error": "Could not derive api key!"})


async def test_keys_are_listed_and_a_revoked_one_is_unauthorised() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        listed = await asyncio.to_thread(trader.client.get_api_keys)
        revoked = await asyncio.to_thread(trader.client.delete_api_key)

        assert listed == {"apiKeys": [trader.key]}
        assert revoked == "OK"
        assert await refusal(trader.client.get_api_keys) == (401, INVALID_KEY)


def l1_headers(number: int, **changes: str) -> dict[str, str]:
    headers = create_level_1_headers(Signer(private_key(number), 137), nonce=0, timestamp=START_MS // 1_000)
    return {**headers, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"POLY_ADDRESS": Signer(private_key(2), 137).address()},
        {"POLY_ADDRESS": "somebody"},
        {"POLY_NONCE": "1"},
        {"POLY_NONCE": "-1"},
        {"POLY_TIMESTAMP": "1790000001"},
        {"POLY_TIMESTAMP": "soon"},
        {"POLY_SIGNATURE": "0x" + "11" * 65},
        {"POLY_SIGNATURE": "0x" + "00" * 64 + "1b"},
        {"POLY_SIGNATURE": "signed"},
    ],
)
async def test_a_bent_wallet_signature_buys_no_key(changes: dict[str, str]) -> None:
    async with paper_stage() as stage:
        url = stage.server.url + "/auth/api-key"
        async with stage.http.post(url, headers=l1_headers(1, **changes)) as bent:
            answer = (bent.status, await bent.json())
        async with stage.http.post(url, headers=l1_headers(1)) as straight:
            assert straight.status == 200

    assert answer == (401, INVALID_L1)


async def cancel_all(stage: Stage, trader: Trader, path: str = "/cancel-all", **changes: str) -> int:
    arguments = RequestArgs("DELETE", path)
    headers = create_level_2_headers(trader.client.signer, trader.creds, arguments, START_MS // 1_000)
    async with stage.http.delete(stage.server.url + "/cancel-all", headers={**headers, **changes}) as answer:
        return answer.status


@pytest.mark.parametrize(
    "changes",
    [
        {"POLY_PASSPHRASE": "open sesame"},
        {"POLY_API_KEY": "00000000-0000-4000-8000-000000000000"},
        {"POLY_ADDRESS": "0x000000000000000000000000000000000000beef"},
        {"POLY_TIMESTAMP": "1790000001"},
        {"POLY_SIGNATURE": "AAAA"},
        {"POLY_SIGNATURE": "ключ"},
    ],
)
async def test_a_call_with_one_bent_header_is_unauthorised(changes: dict[str, str]) -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)

        assert await cancel_all(stage, trader, **changes) == 401
        assert await cancel_all(stage, trader) == 200


async def test_a_signature_for_another_path_is_unauthorised() -> None:
    async with paper_stage() as stage:
        assert await cancel_all(stage, await stage.trader(1), path="/orders") == 401


async def test_the_signature_covers_the_bodys_very_bytes() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        signed = json.dumps({"orderID": "0x" + "1" * 64}, separators=(",", ":"))
        arguments = RequestArgs("DELETE", "/order", serialized_body=signed)
        headers = create_level_2_headers(trader.client.signer, trader.creds, arguments, START_MS // 1_000)
        statuses = []
        for body in (signed, signed.replace(":", ": ")):
            async with stage.http.delete(stage.server.url + "/order", headers=headers, data=body) as answer:
                statuses.append(answer.status)

    assert statuses == [200, 401]


async def test_the_query_string_is_not_part_of_the_signature() -> None:
    async with paper_stage() as stage:
        trader = await stage.trader(1)
        arguments = RequestArgs("GET", "/data/orders")
        headers = create_level_2_headers(trader.client.signer, trader.creds, arguments, START_MS // 1_000)
        url = stage.server.url + "/data/orders?market=0x12&next_cursor=MA=="
        async with stage.http.get(url, headers=headers) as answer:
            assert answer.status == 200


async def test_an_old_timestamp_is_refused_where_the_venue_bounds_it() -> None:
    async with paper_stage(options=VenueOptions(max_skew_s=60)) as stage:
        client = stage.client(1)
        client.use_server_time = True
        client.set_api_creds(await asyncio.to_thread(client.create_api_key))
        trader = Trader(client, client.get_address(), 0, stage.clock, stage.salts)
        in_time = await cancel_all(stage, trader)
        stage.advance(61_000)

        assert (in_time, await cancel_all(stage, trader)) == (200, 401)


def test_a_full_key_ring_hands_out_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytraders_pfh.paper.protocol.auth.MAX_KEYS", 1)
    ring = KeyRing(b"seed")
    ring.create("0xab", 0)

    with pytest.raises(Refused, match="Could not create api key"):
        ring.create("0xab", 1)


def test_a_streams_credentials_must_all_three_fit() -> None:
    ring = KeyRing(b"seed")
    key = ring.create("0xab", 0)
    gate = Gatekeeper(ring, 137)
    whole = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}

    assert gate.stream(whole) == key
    assert [gate.stream({**whole, name: "x"}) for name in whole] == [None, None, None]

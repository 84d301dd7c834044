"""Routes around an API key's life: create, derive, list, revoke, and the heartbeat that guards its orders."""

from aiohttp import web

from polytraders_pfh.paper.protocol.auth import ApiKey
from polytraders_pfh.paper.protocol.envelope import read_json
from polytraders_pfh.paper.protocol.refusals import INVALID_PAYLOAD, Refused
from polytraders_pfh.paper.protocol.venue import Venue, reply


class KeyRoutes:
    """L1 calls for keys, and L2 calls about the key itself."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def table(self) -> list[web.RouteDef]:
        """The routes and who answers them."""
        return [
            web.post("/auth/api-key", self._create),
            web.get("/auth/derive-api-key", self._derive),
            web.get("/auth/api-keys", self._list),
            web.delete("/auth/api-key", self._revoke),
            web.get("/auth/ban-status/closed-only", self._closed_only),
            web.post("/v1/heartbeats", self._heartbeat),
            web.post("/heartbeats", self._plain_heartbeat),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        address, nonce = self._venue.gatekeeper.l1(request.headers, self._venue.clock.now_ms())
        key = self._venue.keys.create(address, nonce)
        self._venue.wallets.open(address)
        return reply(_credentials(key))

    async def _derive(self, request: web.Request) -> web.Response:
        address, nonce = self._venue.gatekeeper.l1(request.headers, self._venue.clock.now_ms())
        return reply(_credentials(self._venue.keys.derive(address, nonce)))

    async def _list(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        return reply({"apiKeys": list(self._venue.keys.keys_of(key.address))})

    async def _revoke(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        self._venue.keys.revoke(key.key)
        return reply("OK")

    async def _closed_only(self, request: web.Request) -> web.Response:
        await self._venue.caller(request)
        return reply({"closed_only": False})

    async def _heartbeat(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        fields = read_json(await request.read(), INVALID_PAYLOAD)
        heartbeat_id = fields.get("heartbeat_id") if isinstance(fields, dict) else None
        if heartbeat_id is not None and not isinstance(heartbeat_id, str):
            raise Refused(400, INVALID_PAYLOAD)
        now_ms = self._venue.clock.now_ms()
        return reply({"heartbeat_id": self._venue.heartbeats.beat(key.key, heartbeat_id or "", now_ms)})

    async def _plain_heartbeat(self, request: web.Request) -> web.Response:
        key = await self._venue.caller(request)
        self._venue.heartbeats.touch(key.key, self._venue.clock.now_ms())
        return reply({"status": "ok"})


def _credentials(key: ApiKey) -> dict[str, str]:
    return {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}

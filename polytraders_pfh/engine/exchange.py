"""Asking the exchange: every call under its own deadline, every failure an answer that proves nothing."""

from collections.abc import Awaitable, Callable

from polytraders_hookspecs.events import BookSnapshot
from polytraders_hookspecs.orders import ExchangeReply, SignedOrder, UnsignedOrder
from polytraders_hookspecs.services import ClobAuth, ClobPublic, Signer

from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.outcomes import (
    CancelVerdict,
    OrderRecord,
    PostVerdict,
    RecordVerdict,
    judge_cancel,
    judge_post,
    judge_record,
)
from polytraders_pfh.engine.books import Books
from polytraders_pfh.engine.replies import read_cancel, read_post, read_record, read_traded, refusal
from polytraders_pfh.engine.within import within
from polytraders_pfh.errors import PfhError
from polytraders_pfh.telemetry.metrics import Metrics


class Exchange:
    """The host's transport, read, judged, and counted by what it proved.

    Attributes:
        on_unsigned: Called for each signature that was asked for and not given.
    """

    def __init__(
        self,
        public: ClobPublic,
        auth: ClobAuth,
        signer: Signer,
        books: Books,
        metrics: Metrics,
        timeout_s: float,
    ) -> None:
        self._public = public
        self._auth = auth
        self._signer = signer
        self._books = books
        self._metrics = metrics
        self._timeout_s = timeout_s
        self.on_unsigned: Callable[[], None] = lambda: None
        self.auth_reachable: bool | None = None
        self.public_reachable: bool | None = None

    async def fresh_book(self, token_id: str) -> BookView | None:
        """Return a book read just now, or None when none could be had."""
        self.public_reachable = False
        try:
            snapshot = await within(self._timeout_s, self._public.get_book(token_id))
            self.public_reachable = True
            if not isinstance(snapshot, BookSnapshot) or snapshot.token_id != token_id:
                return None
            return self._books.take_fresh(snapshot)
        except Exception:
            return None

    async def cancel(self, order_ids: tuple[str, ...]) -> dict[str, CancelVerdict]:
        """Ask once for these orders to be cancelled, and return what the answer proves of each."""
        answer = read_cancel(await self._answer(lambda: self._auth.cancel_orders(order_ids)))
        verdicts = {order_id: judge_cancel(order_id, answer) for order_id in order_ids}
        for verdict in verdicts.values():
            self._metrics.cancels[verdict.value].inc()
        return verdicts

    async def record(self, order_id: str) -> tuple[RecordVerdict, OrderRecord]:
        """Read an order's record, and return what it proves."""
        record = read_record(await self._answer(lambda: self._auth.get_order(order_id)), order_id)
        verdict = judge_record(record)
        self._metrics.reconciliations[verdict.value].inc()
        return verdict, record

    async def traded(self, market_id: str, order_id: str, after_ms: int) -> int | None:
        """Return how much of an order its trades since `after_ms` add up to, or None when not known."""
        return read_traded(await self._answer(lambda: self._auth.get_trades(market_id, after_ms)), order_id)

    async def sign(self, order: UnsignedOrder) -> SignedOrder | str:
        """Return the order signed, or why it could not be."""
        answer = await self._signed(order)
        if not isinstance(answer, SignedOrder):
            self.on_unsigned()
        return answer

    async def _signed(self, order: UnsignedOrder) -> SignedOrder | str:
        try:
            signed = await within(self._timeout_s, self._signer.sign_order(order))
        except TimeoutError:
            return f"the signer did not answer within {self._timeout_s} s"
        except PfhError as e:
            return str(e)  # written to be read; anybody else's words may quote what they sign with
        except Exception as e:
            return f"the signer failed with {type(e).__name__}"
        return signed if isinstance(signed, SignedOrder) else "the signer did not answer with a signed order"

    async def post(self, order: SignedOrder, *, attempted_before: bool) -> tuple[PostVerdict, str]:
        """Send a signed order once; return what the answer proves, and the exchange's own words."""
        reply = await self._answer(lambda: self._auth.post_order(order))
        verdict = judge_post(order.order_id, read_post(reply), attempted_before=attempted_before)
        self._metrics.posts[verdict.value].inc()
        return verdict, refusal(reply)

    async def _answer(self, call: Callable[[], Awaitable[ExchangeReply]]) -> ExchangeReply:
        reply = await self._reply(call)
        self.auth_reachable = reply.status is not None
        return reply

    async def _reply(self, call: Callable[[], Awaitable[ExchangeReply]]) -> ExchangeReply:
        try:
            reply = await within(self._timeout_s, call())
        except TimeoutError:
            return ExchangeReply(status=None, detail=f"no answer within {self._timeout_s} s")
        except Exception as e:
            return ExchangeReply(status=None, detail=f"the transport failed with {type(e).__name__}")
        return reply if isinstance(reply, ExchangeReply) else ExchangeReply(status=None, detail="no reply")

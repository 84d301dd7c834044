"""Whether this host may still post for an intent, where several share the orders; a lone host always may."""

from polytraders_hookspecs.services import Fence

NOT_OURS = "another host owns this order, or its lease could not be kept"


class Fencing:
    """The host's fence, or none. A fence that fails holds nothing."""

    def __init__(self, fence: Fence | None) -> None:
        self._fence = fence

    def token(self, root_order_id: str) -> int | None:
        """Return the token for an intent's posts, 0 when this host may not post, None without a fence."""
        if self._fence is None:
            return None
        try:
            return self._fence.token(root_order_id)
        except Exception:
            return 0

    def held(self, token: int | None) -> bool:
        """Return whether a token that `token` returned still lets a post through."""
        if self._fence is None or token is None:
            return self._fence is None
        try:
            return token > 0 and self._fence.still_held(token) is True
        except Exception:
            return False

    def obstacle(self, root_order_id: str) -> str:
        """Return why this host may not post for an intent now, or empty."""
        return "" if self.held(self.token(root_order_id)) else NOT_OURS

"""The connections of the official SDK, which it keeps in one client for a whole process."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from py_clob_client_v2.http_helpers import helpers as sdk_http


@contextmanager
def own_sdk_connections() -> Iterator[None]:
    """Give the SDK connections of its own; closes them afterwards and puts its first client back."""
    before = sdk_http._http_client
    with httpx.Client(timeout=10.0) as own:
        sdk_http._http_client = own
        try:
            yield
        finally:
            sdk_http._http_client = before

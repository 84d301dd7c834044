"""One host as a process: `python -m support.cluster_child CONFIG [STOP_BEFORE] [unfenced]`.

With STOP_BEFORE it stops itself, as SIGSTOP does, at the worst moment of its first post: before the last
`checks` of the engine, or before the first `bytes` of the request, once those have passed. `unfenced` plants
a bug, a fence that always holds, by which a test sees that it would see a late post.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from polytraders_pfh.engine.sequencer import Sequencer
from polytraders_pfh.host import run_host
from polytraders_pfh.host.cluster.partition_log import PartitionLog
from polytraders_pfh.host.transport import ExchangeTransport


def stop_before_checks() -> None:
    really = Sequencer._last_checks

    def checks(self: Any, *rest: Any) -> str:
        os.kill(os.getpid(), signal.SIGSTOP)
        return really(self, *rest)

    Sequencer._last_checks = checks  # type: ignore[method-assign]


def stop_before_bytes() -> None:
    really = ExchangeTransport.send

    async def send(self: Any, method: str, path: str, **rest: Any) -> Any:
        if (method, path) == ("POST", "/order"):
            os.kill(os.getpid(), signal.SIGSTOP)
        return await really(self, method, path, **rest)

    ExchangeTransport.send = send  # type: ignore[method-assign]


if __name__ == "__main__":
    config, *how = sys.argv[1:]
    if "checks" in how:
        stop_before_checks()
    if "bytes" in how:
        stop_before_bytes()
    if "unfenced" in how:
        PartitionLog.held = lambda self: True  # type: ignore[method-assign]
    sys.exit(run_host(Path(config)))

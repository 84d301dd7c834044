"""A real nats-server with JetStream on a free port of loopback, which can be stopped and started again."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NEEDS_NATS = pytest.mark.skipif(
    shutil.which("nats-server") is None, reason="nats-server is not installed; apt-get install nats-server"
)
_PATIENCE_S = 20.0


class NatsServer:
    """One server and its store."""

    def __init__(self, directory: Path, host: str = "127.0.0.1", jetstream: bool = True) -> None:
        self._directory = directory
        self._host = host
        self._jetstream = jetstream
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind((host, 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"nats://{self._host}:{self.port}"

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        self._directory.mkdir(parents=True, exist_ok=True)
        stored = ["-js", "-sd", str(self._directory)] if self._jetstream else []
        log = ["-l", str(self._directory / "log")]
        self._process = subprocess.Popen(
            ["nats-server", "-a", self._host, "-p", str(self.port), *stored, *log],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                with socket.create_connection((self._host, self.port), timeout=1) as line:
                    if line.recv(4) == b"INFO":
                        return
            except OSError:
                time.sleep(0.01)
        raise AssertionError((self._directory / "log").read_text())

    def stop(self, *, hard: bool = False) -> None:
        """Stop it; `hard` as by kill -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self._process.wait(_PATIENCE_S)
            self._process = None


@contextmanager
def nats_server(directory: Path, *, jetstream: bool = True) -> Iterator[NatsServer]:
    """Run a server for as long as the block lasts."""
    server = NatsServer(directory, jetstream=jetstream)
    server.start()
    try:
        yield server
    finally:
        server.stop()

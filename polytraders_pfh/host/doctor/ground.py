"""Whether the host stands on firm ground: its directory, what lies in it, and whether one runs there now."""

import asyncio
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from polytraders_pfh.errors import PfhError
from polytraders_pfh.host.admin import AdminPlace, AdminToken, NobodyAnswers, TokenRefused, knock
from polytraders_pfh.host.config import HostConfig
from polytraders_pfh.host.doctor.finding import Finding, right, skipped, warning, wrong
from polytraders_pfh.ops.sources import parts
from polytraders_pfh.ops.verify import verify

_OTHERS_WRITE: Final = 0o022
_OTHERS: Final = 0o077
_KNOCK_S: Final = 10.0
_MIB: Final = 1024 * 1024
_NEEDED: Final = 64 * _MIB
"""Less holds no segment of the journal beside its reserve."""
_WANTED: Final = 1024 * _MIB


def free_bytes(path: Path) -> int:
    """Return what is free on this path's file system."""
    return shutil.disk_usage(path).free


def state_dir(path: Path, free: Callable[[Path], int] = free_bytes) -> Iterator[Finding]:
    """Look at the directory: there, this user's alone, writable, with room."""
    check = "state directory"
    if not path.exists():
        yield from _absent(check, path)
        return
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not path.is_dir():
        yield wrong(check, f"{path} is no directory", "move it away, or name another as host.state_dir")
        return
    if found.st_uid != os.geteuid():
        yield wrong(check, f"{path} belongs to user {found.st_uid}", f"give it to user {os.geteuid()}")
    elif mode & _OTHERS_WRITE:
        yield wrong(check, f"{path} has mode {mode:04o}: others can write into it", f"run: chmod 700 {path}")
    elif mode & _OTHERS:
        yield warning(check, f"{path} has mode {mode:04o}: others can look into it", f"run: chmod 700 {path}")
    elif (fault := _unwritable(path)) is not None:
        yield wrong(check, f"{path} takes no file ({fault})", "make it writable, or free its disk")
    else:
        yield right(check, f"{path} is this user's alone, and takes files")
    yield _room(path, free(path))


def running(path: Path) -> bool:
    """Return whether a host holds this directory now."""
    try:
        fd = os.open(path / "host.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def kill_switch(path: Path) -> Finding:
    """Look for the file whose existence means stop."""
    try:
        reason = path.read_bytes()[:200].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return right("kill switch", "off")
    except OSError as e:
        return wrong("kill switch", f"{path} is unreadable ({e.strerror})", "make it readable, or remove it")
    told = f"ON: {reason or 'no reason given'}"
    return warning("kill switch", told, "reset it with reset-kill once the cause is mended")


def journals(directory: Path, enabled: Iterable[str]) -> Iterator[Finding]:
    """Hold the newest segment of each bot's journal against its chain, and tell its head."""
    for name in enabled:
        check, path = f"journal of {name}", directory / "bots" / name / "journal"
        try:
            segments = parts(path)
        except OSError as e:
            yield wrong(check, f"{path} is unreadable ({e.strerror})", "make it readable to this user")
            continue
        if not segments:
            yield right(check, "none yet")
            continue
        walked = verify(segments[-1])
        if walked.ok:
            told = f"{walked.records} records in the newest of {len(segments)} segments, whole"
            yield right(check, f"{told}; the head is {walked.head}")
        else:
            mend = f"run: polytraders-pfh verify {path}, and restore what it names from a copy"
            yield wrong(check, walked.faults[0], mend)


async def door(read: HostConfig, is_running: bool) -> Finding:
    """Look at the token, and knock where a host runs."""
    check, directory = "door", read.host.state_dir
    if read.admin.door == "off":
        return skipped(check, "orders by hand are off in this config")
    token = AdminToken(AdminPlace(directory).token)
    if not is_running and not token.path.exists():
        return right(check, "the token is made at the first start")
    try:
        token.read()
        if not is_running:
            return right(check, "the token is this user's alone")
        await asyncio.to_thread(knock, directory, "status", {}, by="doctor", reason="", timeout_s=_KNOCK_S)
    except (TokenRefused, NobodyAnswers) as e:
        return wrong(check, e)
    except PfhError as e:
        return wrong(check, e, "restart the host")
    return right(check, "it opens to the token")


def _absent(check: str, path: Path) -> Iterator[Finding]:
    above = next((parent for parent in path.parents if parent.exists()), path)
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        yield right(check, f"{path} is made at the first start")
    else:
        yield wrong(check, f"{path} is absent and {above} takes no directory", "create it, mode 0700")


def _unwritable(path: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=path) as f:
            f.write(b"x")
            f.flush()
            os.fsync(f.fileno())
    except OSError as e:
        return e.strerror
    return None


def _room(path: Path, free: int) -> Finding:
    told = f"{free // _MIB} MiB are free at {path}"
    if free < _NEEDED:
        return wrong("disk", told, "free at least 64 MiB; without room nothing is posted")
    if free < _WANTED:
        return warning("disk", told, "free some: reports and records are kept for 7 years")
    return right("disk", told)

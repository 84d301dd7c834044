"""After every test: no secret that was used in it stands in anything that it left behind.

A secret is learnt where it enters the product: a `Secret`, an event key, an admin token. What is looked at
is what was logged or printed (tracebacks of failures too), files in temporary directories (journals, reports,
orders, databases), every report on its way to a bus, and every span. A file that holds a secret and nothing
else is that secret's own place. Secrets too short or too plain to be one (`"11" * 32`) are not looked for.
"""

import base64
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from polytraders_pfh.engine.outbox import Outbox
from polytraders_pfh.host.admin.token import AdminToken
from polytraders_pfh.host.dispatch import EventSigner
from polytraders_pfh.host.secret import Secret
from support import canaries

_HEX: Final = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){16,})")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
_SHORTEST: Final = 12
_FEWEST_SYMBOLS: Final = 8


def forms_of(secret: str | bytes) -> set[bytes]:
    """Return what a secret looks like wherever somebody might write it: as it is, hex, base64, quoted."""
    text = secret if isinstance(secret, str) else ""
    forms = {text.encode(), text.upper().encode(), quote(text, safe="").encode()} if text else set()
    for raw in _bytes_behind(secret):
        digits = raw.hex()
        forms |= {raw, digits.encode(), digits.upper().encode(), repr(raw)[2:-1].encode()}
        forms |= {str(int(digits, 16)).encode(), *_in_base64(raw)}
    return {form for form in forms if len(form) >= _SHORTEST}


def _bytes_behind(secret: str | bytes) -> list[bytes]:
    """The bytes that a text stands for: its own, those of its hex digits, those of its base64."""
    if isinstance(secret, bytes):
        return [secret]
    found = [secret.encode()]
    if match := _HEX.fullmatch(secret):
        found.append(bytes.fromhex(match[1]))
    elif _BASE64.fullmatch(secret) and len(bare := secret.rstrip("=")) % 4 != 1:
        padded = bare + "=" * (-len(bare) % 4)
        found.append(base64.urlsafe_b64decode(padded.replace("+", "-").replace("/", "_")))
    return found


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What is the same in base64 whatever stands before and behind, standard and url-safe."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)
        core = coded[-(-before * 8 // 6) : len(coded) - 4].rstrip(b"=")
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


class SecretWatch:
    """What is known to be secret, and where it was found.

    Attributes:
        folders: Temporary directories that have not been looked through yet.
    """

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}
        self._lasting: dict[bytes, str] = {}
        self._places: set[bytes] = set()
        self._seen: list[tuple[str, bytes]] = []
        self.folders: set[Path] = set()

    def learn(self, name: str, secret: str | bytes, *, lasting: bool = False) -> None:
        """Look for this one too, until the test is over, or for good when it is a `lasting` one."""
        plain = secret.encode() if isinstance(secret, str) else secret
        if len(plain) < _SHORTEST or len(set(plain)) < _FEWEST_SYMBOLS:
            return
        self._places |= {plain, plain.hex().encode()}
        forms = self._lasting if lasting else self._forms
        for form in forms_of(secret):
            forms.setdefault(form, name)

    def knows(self, secret: str | bytes) -> bool:
        """Whether it is looked for now."""
        return forms_of(secret) <= {*self._lasting, *self._forms}

    def saw(self, where: str, what: str | bytes) -> None:
        """Take something that came out, to be looked through at the test's end."""
        self._seen.append((where, what.encode("utf-8", "replace") if isinstance(what, str) else what))

    def told(self, who: str, *streams: str | bytes | None) -> None:
        """Take what somebody printed."""
        for stream in streams:
            self.saw(f"what {who} printed", stream or b"")

    def spare(self, folder: Path) -> None:
        """Do not look there: the test itself hands a secret to somebody who writes it down."""
        self.folders.discard(folder)

    def look_in(self, folder: Path) -> None:
        """Look through every file below a directory, their names included."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if data.strip() not in self._places:
                    self.saw(f"file {path.name}", path.name.encode() + b"\n" + data)

    def judge(self) -> list[str]:
        """Return where which secret was found since the last time, and forget what was learnt and seen."""
        forms = self._forms | self._lasting
        found = {(name, where) for where, what in self._seen for form, name in forms.items() if form in what}
        self._seen.clear()
        self._forms.clear()
        return [f"{name} in {where}" for name, where in sorted(found)]


WATCH: Final = SecretWatch()


class _SeenSpans(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        events = [(event.name, dict(event.attributes or {})) for event in span.events]
        told = (span.name, dict(span.attributes or {}), events, span.status.description)
        WATCH.saw(f"span {span.name}", repr(told))


def _after(owner: Any, name: str, then: Callable[..., Any]) -> None:
    """Have `then` called with the result and the arguments of every call of a method."""
    method = getattr(owner, name)

    def calling(*arguments: Any, **named: Any) -> Any:
        result = method(*arguments, **named)
        then(result, *arguments, **named)
        return result

    setattr(owner, name, calling)


def _before(owner: Any, name: str, first: Callable[..., Any]) -> None:
    method = getattr(owner, name)

    def calling(*arguments: Any, **named: Any) -> Any:
        first(*arguments)
        return method(*arguments, **named)

    setattr(owner, name, calling)


def pytest_configure() -> None:
    """Begin to watch where secrets enter and where things come out."""
    for name, secret in vars(canaries).items():
        if name.isupper():
            WATCH.learn(f"the tests' {name}", secret, lasting=True)
    _before(Secret, "__init__", lambda _, value: WATCH.learn("a Secret", value))
    _after(EventSigner, "__init__", lambda _, signer, *__, **___: WATCH.learn("an event key", signer.key))
    _after(AdminToken, "read", lambda token, *_: WATCH.learn("an admin token", token.decode("latin-1")))
    _after(TracerProvider, "__init__", lambda _, p, *__, **___: p.add_span_processor(_SeenSpans()))
    _before(Outbox, "_publish", lambda _, record, *__: WATCH.saw("report", record.payload))
    _after(subprocess.Popen, "communicate", lambda told, *_, **__: WATCH.told("a process", *told))
    _after(CliRunner, "invoke", lambda told, *_, **__: WATCH.told("a command", told.stdout, told.stderr))
    _after(pytest.TempPathFactory, "mktemp", lambda folder, *_, **__: WATCH.folders.add(folder))
    _before(tempfile.TemporaryDirectory, "cleanup", lambda folder: WATCH.look_in(Path(folder.name)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Leave the directories of a module's own fixtures until its last test is over."""
    yield
    folder = (getattr(item, "funcargs", None) or {}).get("tmp_path")
    module_goes_on = nextitem is not None and nextitem.path == item.path
    ready = {folder} & WATCH.folders if module_goes_on else set(WATCH.folders)
    WATCH.folders -= ready
    for each in ready:
        WATCH.look_in(each)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Look through what a test left behind; a secret in it fails the test."""
    report: pytest.TestReport = yield
    WATCH.saw("the traceback", report.longreprtext)
    if call.when != "teardown":
        return report
    for when, key, text in item._report_sections:
        WATCH.saw(f"captured {key} of {when}", text)
    if leaks := WATCH.judge():
        report.outcome = "failed"
        report.longrepr = "a secret came out: " + "; ".join(leaks)
    return report

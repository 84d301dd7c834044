"""Every hook: its docstring answers the same questions in the same order, and a plugin can implement it."""

import ast
import inspect
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import pluggy
import pytest
from polytraders_hookspecs import (
    HOOK_NAMES,
    BotHealth,
    BotManifest,
    CancelReplace,
    CancelReplaceResult,
    CommandResult,
    DustRemainder,
    ExecutionReport,
    KillSwitchSignal,
    LastTrade,
    SignedEvent,
    call_hook,
    first_hook,
    gather_hook,
    hookimpl,
    new_plugin_manager,
    sign_event,
    specs,
)

ORDER = "0x" + "c3" * 32
MARKET = "0x" + "a1" * 32
ENVELOPE = sign_event(key_id="k1", key=b"k" * 32, event_ts_ms=1, trace_id="trc_1", body=b"{}")
SECTIONS = ("When", "Args", "Returns", "Failure", "Deadline")


def spec(name: str) -> Any:
    return getattr(specs, name)


def doc(name: str) -> str:
    return inspect.getdoc(spec(name)) or ""


def section(name: str, title: str) -> str:
    """The text of one section of a hook's docstring, up to the next one."""
    found = re.search(
        rf"^{title}:(.*?)(?=^(?:{'|'.join(SECTIONS)}):|\Z)", doc(name), re.DOTALL | re.MULTILINE
    )
    return found[1].strip() if found else ""


def manager_with(plugin: object) -> pluggy.PluginManager:
    manager = new_plugin_manager()
    manager.register(plugin, name="one")
    manager.check_pending()
    return manager


def test_hook_names_lists_every_hook_of_the_table_in_the_order_of_a_bots_life() -> None:
    assert HOOK_NAMES == (
        "register_bot",
        "on_host_start",
        "on_decision_report",
        "on_partial_fill",
        "on_order_closed",
        "on_killswitch",
        "on_book_update",
        "on_cancel_replace",
        "on_dust_remainder",
        "check_health",
        "on_bot_command",
        "describe_bot",
        "on_host_stop",
    )


def test_hook_names_is_what_a_plugin_manager_knows() -> None:
    known = {n for n, h in vars(new_plugin_manager().hook).items() if isinstance(h, pluggy.HookCaller)}

    assert known == set(HOOK_NAMES)


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_hook_says_what_it_is_for_in_its_first_line(name: str) -> None:
    first = doc(name).splitlines()[0]

    assert first.endswith(".")
    assert not first.startswith(SECTIONS)


@pytest.mark.parametrize("name", HOOK_NAMES)
@pytest.mark.parametrize("title", ["When", "Returns", "Failure", "Deadline"])
def test_every_hook_has_the_section(name: str, title: str) -> None:
    assert section(name, title)


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_every_argument_of_a_hook_is_explained_by_name(name: str) -> None:
    explained = re.findall(r"^    (\w+): \S", section(name, "Args").replace("\n\n", "\n"), re.MULTILINE)
    first = re.match(r"(\w+): \S", section(name, "Args"))
    names = [first[1], *explained] if first else explained

    assert names == list(inspect.signature(spec(name)).parameters)


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_the_sections_of_a_hook_stand_in_one_order(name: str) -> None:
    found = re.findall(rf"^({'|'.join(SECTIONS)}):", doc(name), re.MULTILINE)

    assert found == [title for title in SECTIONS if title in found]


@pytest.mark.parametrize("name", HOOK_NAMES)
def test_a_hook_is_synchronous_exactly_when_its_annotation_promises_no_awaitable(name: str) -> None:
    assert ("Awaitable" not in str(get_type_hints(spec(name))["return"])) == (name in specs.SYNC_HOOKS)


def test_every_hook_has_a_test_that_bears_its_name() -> None:
    tests = {
        node.name
        for path in Path(__file__).parent.parent.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert [name for name in HOOK_NAMES if f"test_hook_{name}" not in tests] == []


def test_an_implementation_with_an_argument_the_contract_lacks_is_refused() -> None:
    class Bot:
        @hookimpl
        def on_host_start(self, hots: object) -> None: ...

    with pytest.raises(pluggy.PluginValidationError, match="hots"):
        new_plugin_manager().register(Bot())


def test_an_implementation_of_a_hook_the_contract_lacks_is_refused() -> None:
    class Bot:
        @hookimpl
        def on_partial_fil(self) -> None: ...

    with pytest.raises(pluggy.PluginValidationError, match="on_partial_fil"):
        manager_with(Bot())


def test_an_implementation_may_leave_out_arguments_that_it_does_not_need() -> None:
    class Bot:
        @hookimpl
        def on_decision_report(self) -> None: ...

    assert [r.error for r in call_hook(manager_with(Bot()).hook.on_decision_report, envelope=ENVELOPE)] == [
        None
    ]


def test_two_plugin_managers_share_no_plugin() -> None:
    class Bot: ...

    manager_with(Bot())

    assert new_plugin_manager().get_plugins() == set()


def test_hook_register_bot() -> None:
    class Module:
        @hookimpl
        def register_bot(self, host: Any) -> object:
            return ("bot of", host)

    (result,) = call_hook(manager_with(Module()).hook.register_bot, host="host A")

    assert result.value == ("bot of", "host A")


async def test_hook_on_host_start() -> None:
    started = []

    class Bot:
        @hookimpl
        async def on_host_start(self) -> None:
            started.append("bot")

    await gather_hook(manager_with(Bot()).hook.on_host_start)

    assert started == ["bot"]


def test_hook_on_decision_report() -> None:
    heard: list[SignedEvent] = []

    class Bot:
        @hookimpl
        def on_decision_report(self, envelope: SignedEvent) -> None:
            heard.append(envelope)

    call_hook(manager_with(Bot()).hook.on_decision_report, envelope=ENVELOPE)

    assert heard == [ENVELOPE]


async def test_hook_on_partial_fill() -> None:
    report = ExecutionReport(report_id="r", bot_id="b", verdict="HOLD_REMAINDER", evaluated_at_ms=1)

    class Bot:
        @hookimpl
        async def on_partial_fill(self, envelope: SignedEvent) -> ExecutionReport:
            assert envelope is ENVELOPE
            return report

    (result,) = await gather_hook(manager_with(Bot()).hook.on_partial_fill, envelope=ENVELOPE)

    assert result.value is report


async def test_hook_on_order_closed() -> None:
    dropped = []

    class Bot:
        @hookimpl
        def on_order_closed(self, envelope: SignedEvent) -> None:
            dropped.append(envelope.trace_id)

    (result,) = await gather_hook(manager_with(Bot()).hook.on_order_closed, envelope=ENVELOPE)

    assert (dropped, result.value) == (["trc_1"], None)


async def test_hook_on_killswitch() -> None:
    """Every bot's flag is set in the synchronous part, before any bot is awaited."""
    flags: list[str] = []

    def bot(name: str) -> object:
        class Bot:
            @hookimpl
            def on_killswitch(self, signal: KillSwitchSignal) -> Any:
                flags.append(f"{name} set {signal.active}")

                async def cancels() -> list[ExecutionReport]:
                    flags.append(f"{name} cancels")
                    return []

                return cancels()

        return Bot()

    manager = new_plugin_manager()
    manager.register(bot("a"))
    manager.register(bot("b"))

    results = await gather_hook(
        manager.hook.on_killswitch, signal=KillSwitchSignal(active=True, ts_ms=1), deadline_s=5
    )

    assert [r.value for r in results] == [[], []]
    assert flags[:2] == ["b set True", "a set True"]
    assert sorted(flags[2:]) == ["a cancels", "b cancels"]


def test_hook_on_book_update() -> None:
    trade = LastTrade(token_id="7", side="BUY", price_micro=620_000, size_micro=5_000_000, timestamp_ms=1)
    kept = []

    class Bot:
        @hookimpl
        def on_book_update(self, update: Any) -> None:
            kept.append(update)

    call_hook(manager_with(Bot()).hook.on_book_update, update=trade)

    assert kept == [trade]


async def test_hook_on_cancel_replace() -> None:
    """An optimiser answers first although it registered first: the default is `trylast`."""

    class Optimiser:
        @hookimpl
        async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult:
            return CancelReplaceResult(outcome="posted", new_order_id=instruction.root_order_id)

    class Bot:
        @hookimpl(trylast=True)
        async def on_cancel_replace(self) -> CancelReplaceResult:
            raise AssertionError("the optimiser had answered")

    manager = new_plugin_manager()
    manager.register(Optimiser(), name="optimiser")
    manager.register(Bot(), name="bot")
    instruction = CancelReplace(
        instruction_id="i1",
        order_id=ORDER,
        root_order_id=ORDER,
        trace_id="trc_1",
        market_id=MARKET,
        token_id="7",
        side="BUY",
        price=Decimal("0.63"),
        cap_price=Decimal("0.65"),
        max_size_shares=Decimal(10),
        max_cost_usd=Decimal("6.2"),
        builder_code=MARKET,
    )

    result = await first_hook(manager.hook.on_cancel_replace, instruction=instruction)

    assert result is not None
    assert (result.plugin_name, result.value.new_order_id) == ("optimiser", ORDER)


async def test_hook_on_dust_remainder() -> None:
    swept = []

    class Cleaner:
        @hookimpl
        async def on_dust_remainder(self, dust: DustRemainder) -> None:
            swept.append((dust.order_id, dust.remaining_usd))

    dust = DustRemainder(
        order_id=ORDER,
        trace_id="trc_1",
        market_id=MARKET,
        token_id="7",
        side="BUY",
        remaining_usd=Decimal("0.4"),
        cancelled=True,
    )
    await gather_hook(manager_with(Cleaner()).hook.on_dust_remainder, dust=dust)

    assert swept == [(ORDER, Decimal("0.4"))]


def test_hook_check_health() -> None:
    health = BotHealth(bot_id="b", status="green", mode="shadow_only", kill_switch_active=False)

    class Bot:
        @hookimpl
        def check_health(self) -> BotHealth:
            return health

    assert [r.value for r in call_hook(manager_with(Bot()).hook.check_health)] == [health]


async def test_hook_on_bot_command() -> None:
    class Bot:
        @hookimpl
        async def on_bot_command(
            self, bot_id: str, command: str, arguments: Mapping[str, str]
        ) -> CommandResult | None:
            return (
                CommandResult(ok=True, message=f"{command} {arguments['order']}") if bot_id == "me" else None
            )

    hook = manager_with(Bot()).hook.on_bot_command
    arguments = {"order": "0x1"}

    mine = await first_hook(hook, bot_id="me", command="explain", arguments=arguments)
    theirs = await first_hook(hook, bot_id="you", command="explain", arguments=arguments)

    assert mine is not None
    assert mine.value.message == "explain 0x1"
    assert theirs is None


def test_hook_describe_bot() -> None:
    manifest = BotManifest(
        bot_id="b",
        name="Bot",
        version="1",
        hookspec_version="1.0",
        mode="shadow_only",
        modes=("shadow_only",),
        reads=(),
        emits=(),
        topics=(),
    )

    class Bot:
        @hookimpl
        def describe_bot(self) -> BotManifest:
            return manifest

    assert [r.value for r in call_hook(manager_with(Bot()).hook.describe_bot)] == [manifest]


async def test_hook_on_host_stop() -> None:
    stopped = []

    class Bot:
        @hookimpl
        async def on_host_stop(self) -> None:
            stopped.append("drained")

    await gather_hook(manager_with(Bot()).hook.on_host_stop, deadline_s=5)

    assert stopped == ["drained"]


@pytest.mark.parametrize("name", ["check_health", "describe_bot"])
def test_a_specification_that_must_return_a_model_cannot_be_called_as_if_it_were_one(name: str) -> None:
    with pytest.raises(NotImplementedError):
        spec(name)()


@pytest.mark.parametrize("name", sorted(set(HOOK_NAMES) - {"check_health", "describe_bot"}))
def test_a_specification_itself_does_nothing(name: str) -> None:
    assert spec(name)(*[None] * len(inspect.signature(spec(name)).parameters)) is None

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from polytraders_hookspecs import BotManifest, call_hook, gather_hook, hookimpl
from support.host_bots import ScribeBot, plugin_with

from polytraders_pfh.host.discovery import BotRoster, RefusedBot
from polytraders_pfh.host.hook_trace import trace_hooks


def services(name: str) -> Any:
    return SimpleNamespace(name=name, event_keys={})


def roster_of(environ: dict[str, str] | None = None, **plugins: object) -> BotRoster:
    roster = BotRoster(environ or {}, plugins)
    roster.discover(plugins, services)
    return roster


def ids(roster: BotRoster) -> list[str]:
    return [bot.bot_id for bot in roster.bots]


def test_a_plugins_bot_stands_in_the_manager_under_its_own_id_and_the_module_is_gone() -> None:
    bot = ScribeBot("exec.a")
    roster = roster_of(**{"exec.a": plugin_with(bot)})

    assert roster.manager.get_plugin("exec.a") is bot
    assert list(roster.manager.get_plugins()) == [bot]
    assert roster.refused == ()


def test_each_plugin_gets_its_own_services_and_is_asked_once() -> None:
    asked: list[tuple[str, str]] = []

    def plugin(name: str) -> ModuleType:
        module = ModuleType(name)

        def register_bot(host: Any) -> object:
            asked.append((name, host.name))
            return ScribeBot(name)

        module.register_bot = hookimpl(register_bot)
        return module

    roster = roster_of(**{"exec.a": plugin("exec.a"), "exec.b": plugin("exec.b")})

    assert asked == [("exec.a", "exec.a"), ("exec.b", "exec.b")]
    assert ids(roster) == ["exec.a", "exec.b"]


def test_a_plugin_that_raises_is_kept_out_and_the_others_register_all_the_same() -> None:
    roster = roster_of(bad=plugin_with(RuntimeError("no room")), good=plugin_with(ScribeBot("exec.good")))

    assert ids(roster) == ["exec.good"]
    assert roster.refused == (RefusedBot("bad", "bot 'bad' was not registered: RuntimeError: no room"),)
    assert len(list(roster.manager.get_plugins())) == 1


def test_a_plugin_that_gives_no_bot_is_neither_registered_nor_refused() -> None:
    roster = roster_of(off=plugin_with(None))

    assert (roster.bots, roster.refused) == ((), ())


def test_the_same_id_twice_is_refused_and_the_first_keeps_it() -> None:
    first = ScribeBot("exec.a")
    roster = roster_of(one=plugin_with(first), two=plugin_with(ScribeBot("exec.a")))

    assert roster.manager.get_plugin("exec.a") is first
    assert [(bot.plugin_name, "taken already" in bot.reason) for bot in roster.refused] == [("two", True)]


class WrappingBot(ScribeBot):
    @hookimpl(wrapper=True)
    def on_partial_fill(self) -> Any:  # type: ignore[override]
        return (yield)


class MisspeltBot(ScribeBot):
    @hookimpl
    def on_partial_fil(self) -> None:
        """No such hook."""


class GreedyBot(ScribeBot):
    @hookimpl
    async def on_order_closed(self, envelope: Any, secret: Any) -> None:  # type: ignore[override]
        """Asks for an argument that the hook does not have."""


class FutureBot(ScribeBot):
    @hookimpl
    def describe_bot(self) -> BotManifest:
        return super().describe_bot().model_copy(update={"hookspec_version": "9.0"})


@pytest.mark.parametrize(
    ("bot", "reason"),
    [
        (WrappingBot(), "wraps hook 'on_partial_fill'"),
        (MisspeltBot(), "on_partial_fil"),
        (GreedyBot(), "secret"),
        (FutureBot(), "needs hook contract 9.0"),
        (SimpleNamespace(), "describe_bot"),
    ],
)
def test_a_bot_that_breaks_the_contract_is_kept_out_and_leaves_nothing_behind(bot: Any, reason: str) -> None:
    roster = roster_of(odd=plugin_with(bot), good=plugin_with(ScribeBot("exec.good")))

    assert ids(roster) == ["exec.good"]
    assert reason in roster.refused[0].reason
    assert len(roster.manager.hook.on_order_closed.get_hookimpls()) == 1
    assert len(list(roster.manager.get_plugins())) == 1


def test_a_module_without_register_bot_is_refused() -> None:
    roster = roster_of(empty=ModuleType("empty"))

    assert "no register_bot" in roster.refused[0].reason


def test_an_enabled_bot_that_is_not_installed_is_refused_with_what_there_is() -> None:
    roster = BotRoster({})
    roster.discover(["exec.nowhere"], services)

    assert "'exec.nowhere' was not found; installed packages offer:" in roster.refused[0].reason


def test_the_allow_list_keeps_everything_else_from_being_loaded() -> None:
    plugins = {"exec.a": plugin_with(ScribeBot("exec.a")), "exec.b": plugin_with(ScribeBot("exec.b"))}

    roster = roster_of({"POLYTRADERS_LOAD_PLUGINS": " exec.b , exec.c"}, **plugins)

    assert ids(roster) == ["exec.b"]
    assert [bot.plugin_name for bot in roster.refused] == ["exec.a"]


def test_an_empty_allow_list_loads_nothing() -> None:
    assert ids(roster_of({"POLYTRADERS_LOAD_PLUGINS": ""}, a=plugin_with(ScribeBot("exec.a")))) == []


async def test_the_trace_switch_prints_every_hook_call_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    roster = roster_of({"POLYTRADERS_TRACE_HOOKS": "1"}, a=plugin_with(ScribeBot("exec.a")))

    call_hook(roster.manager.hook.describe_bot)
    await gather_hook(
        roster.manager.hook.on_bot_command, bot_id="exec.a", command="explain", arguments={"order": "0x"}
    )

    assert capsys.readouterr().err.splitlines() == [
        "hook describe_bot -> exec.a: ",
        "hook on_bot_command -> exec.a: bot_id='exec.a', command='explain', arguments={'order': '0x'}",
    ]


def test_without_the_switch_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    roster = roster_of(a=plugin_with(ScribeBot("exec.a")))

    call_hook(roster.manager.hook.describe_bot)

    assert capsys.readouterr().err == ""


def test_a_traced_line_stays_one_line_and_short() -> None:
    roster, lines = roster_of(a=plugin_with(ScribeBot("exec.a"))), []
    trace_hooks(roster.manager, lines.append)

    call_hook(roster.manager.hook.on_book_update, update="x\ny" * 1000)

    assert len(lines) == 1
    assert len(lines[0]) <= 301
    assert "\n" not in lines[0]

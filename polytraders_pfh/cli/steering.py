"""Commands for a running host: how it is, what it does, and to stop."""

import json
import os
import pwd
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from polytraders_pfh.cli.exits import EXIT_FAILED, EXIT_WRONG, leave, sentences
from polytraders_pfh.cli.options import config_option, json_option

if TYPE_CHECKING:
    from polytraders_hookspecs import CommandResult

    from polytraders_pfh.host import HostConfig

_MODES: Final = ("shadow_only", "quarantine", "limited_live", "general_live")
_KILL_S: Final = 15.0
_PASS_ON: Final = {"ignore_unknown_options": True, "allow_extra_args": True}


def _who_and_why(command: Callable[..., None]) -> Callable[..., None]:
    by = click.option("--by", default="", help="Your name, for the record; your login when left out.")
    why = click.option("--reason", default="", help="Why, for the record.")
    return by(why(command))


@click.command()
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Say how a running host and its bots are; the exit code is 1 when red."""
    _order(config, "status", {}, "", "", as_json)


@click.command()
@config_option
@_who_and_why
@json_option
def kill(config: Path, by: str, reason: str, as_json: bool) -> None:
    """Throw the kill switch: every remainder is cancelled, nothing is posted until it is reset by hand.

    Where no host answers, the kill-switch file is written, which a host sees at once, or at its start.
    """
    with sentences("host"):
        from polytraders_pfh.host import load_config  # noqa: PLC0415
        from polytraders_pfh.host.admin import NobodyAnswers, TokenRefused  # noqa: PLC0415

        settings = load_config(config)
        try:
            result = _knock(settings, "kill", {}, by, reason, _KILL_S)
        except TokenRefused as e:
            leave(f"{e}; in an emergency `touch {settings.kill_switch_file}` does the same", EXIT_FAILED)
        except NobodyAnswers as e:
            result = _kill_by_file(settings, str(e), by, reason)
        _show(result, as_json)


@click.command("reset-kill")
@config_option
@_who_and_why
@json_option
def reset_kill(config: Path, by: str, reason: str, as_json: bool) -> None:
    """Take the kill switch off again, in the host and in every bot, once the cause is mended."""
    _order(config, "reset-kill", {}, by, reason, as_json)


@click.command()
@click.argument("to", metavar="[MODE]", type=click.Choice(_MODES), required=False)
@click.option("--bot", default=None, help="One bot; all when left out.")
@click.option("--promote", is_flag=True, help="Say that the mode is meant to let more through.")
@config_option
@_who_and_why
@json_option
def mode(
    to: str | None, bot: str | None, promote: bool, config: Path, by: str, reason: str, as_json: bool
) -> None:
    """Show the mode, or set it while the host runs.

    Lowering it (general_live, limited_live, quarantine, shadow_only) always works, at once, and lasts until
    it is raised. Raising it takes --promote and --reason, and goes no further than the config.
    """
    options = {"to": to, "bot": bot, "promote": "yes" if promote else None}
    _order(config, "mode", {name: value for name, value in options.items() if value}, by, reason, as_json)


@click.command("bot", context_settings=_PASS_ON)
@click.argument("command")
@click.argument("bot_id")
@config_option
@_who_and_why
@json_option
@click.pass_context
def tell_bot(
    ctx: click.Context, command: str, bot_id: str, config: Path, by: str, reason: str, as_json: bool
) -> None:
    """Hand a command to one bot; further options are the command's own.

    \b
    polytraders-pfh bot cancel-remainder exec.partialfillhandler --order ID
    """
    options = {"bot": bot_id, "command": command, **_options_in(ctx.args)}
    _order(config, "bot", options, by, reason, as_json)


def _order(
    config: Path, command: str, options: Mapping[str, str], by: str, reason: str, as_json: bool
) -> None:
    with sentences("host"):
        from polytraders_pfh.host import load_config  # noqa: PLC0415

        _show(_knock(load_config(config), command, options, by, reason), as_json)


def _knock(
    settings: "HostConfig",
    command: str,
    options: Mapping[str, str],
    by: str,
    reason: str,
    timeout_s: float = 40.0,
) -> "CommandResult":
    from polytraders_pfh.host.admin import knock  # noqa: PLC0415

    state_dir = settings.host.state_dir
    return knock(state_dir, command, options, by=by or _login(), reason=reason, timeout_s=timeout_s)


def _kill_by_file(settings: "HostConfig", why: str, by: str, reason: str) -> "CommandResult":
    from polytraders_hookspecs import CommandResult  # noqa: PLC0415

    from polytraders_pfh.host.kill import write_kill_file  # noqa: PLC0415

    path = settings.kill_switch_file
    fault = write_kill_file(path, f"{reason or 'switched on by hand'} ({by or _login()})")
    if fault is not None:
        return CommandResult(
            ok=False, message=f"{why}; and the kill-switch file {path} was not written: {fault}"
        )
    told = f"the kill-switch file {path} is written: a host stops when it sees it, or when it starts"
    return CommandResult(ok=True, message=f"{why}; {told}", data={"file": str(path)})


def _show(result: "CommandResult", as_json: bool) -> None:
    members: dict[str, Any] = {"ok": result.ok, "message": result.message, "data": result.data}
    click.echo(json.dumps(members, indent=2, default=str) if as_json else result.message)
    sys.exit(0 if result.ok else EXIT_FAILED)


def _options_in(arguments: list[str]) -> dict[str, str]:
    """Return `--name value` and `--name=value` as a mapping; anything else ends the command."""
    options: dict[str, str] = {}
    waiting = iter(arguments)
    for argument in waiting:
        name, given, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not name:
            leave(f"{argument!r} was no option; write --name value", EXIT_WRONG)
        if not given and (value := next(waiting, "")) == "":
            leave(f"--{name} was without a value; write --{name} value", EXIT_WRONG)
        if name in {"bot", "command"} or name in options:
            leave(f"--{name} was given twice, or is no option of a bot's command; leave it out", EXIT_WRONG)
        options[name] = value
    return options


def _login() -> str:
    """Return who is at the keyboard, as far as the system says."""
    if behind := os.environ.get("SUDO_USER"):
        return behind
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""

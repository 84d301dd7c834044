"""Finding bots: entry points in, registered bots out. A bot that fails is kept out and named.

Only the code of bots that the config enables is imported. A plugin module is a factory: once its
`register_bot` has answered, the module leaves the plugin manager, and the bot stands there under its id.
"""

import importlib.metadata
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pluggy
from polytraders_hookspecs import (
    HOOKSPEC_VERSION,
    PROJECT_NAME,
    BotManifest,
    HostServices,
    call_hook,
    new_plugin_manager,
    refuse_wrappers,
    require_hookspec,
)

from polytraders_pfh.host.errors import DiscoveryError
from polytraders_pfh.host.hook_trace import trace_hooks

_log: Final = logging.getLogger(__name__)
LOAD_PLUGINS: Final = "POLYTRADERS_LOAD_PLUGINS"
TRACE_HOOKS: Final = "POLYTRADERS_TRACE_HOOKS"


@dataclass(frozen=True, slots=True)
class RegisteredBot:
    """A bot as it stands in the plugin manager. `plugin_name` is its entry point's name."""

    plugin_name: str
    manifest: BotManifest
    bot: object

    @property
    def bot_id(self) -> str:
        return self.manifest.bot_id


@dataclass(frozen=True, slots=True)
class RefusedBot:
    """A plugin that is enabled and did not become a bot, and why."""

    plugin_name: str
    reason: str


class BotRoster:
    """The bots of one host.

    Args:
        environ: `POLYTRADERS_LOAD_PLUGINS` names the only entry points that may be loaded, with commas
            between them; `POLYTRADERS_TRACE_HOOKS=1` prints every hook call to stderr.
        plugins: Plugin modules by name that are offered besides the installed ones.

    Attributes:
        manager: The plugin manager, which holds bots and nothing else after `discover`.
        bots: Registered bots, in the order of registration.
        refused: Plugins that were kept out.
    """

    def __init__(self, environ: Mapping[str, str], plugins: Mapping[str, object] | None = None) -> None:
        self.manager = new_plugin_manager()
        self.bots: tuple[RegisteredBot, ...] = ()
        self.refused: tuple[RefusedBot, ...] = ()
        self._environ = environ
        self._plugins = dict(plugins or {})

    def discover(self, enabled: Iterable[str], services_for: Callable[[str], HostServices]) -> None:
        """Load the enabled plugins, let each build its bot, and register the bots.

        Args:
            enabled: Entry point names, in the order in which bots are to be registered.
            services_for: Gives the services for one plugin.
        """
        for name in enabled:
            try:
                self._load(name)
                self._register(name, services_for(name))
            except DiscoveryError as e:
                self.refused += (RefusedBot(name, str(e)),)
                _log.error("%s", e)
            finally:
                self.manager.unregister(name=_factory(name))
        if self._environ.get(TRACE_HOOKS) == "1":
            trace_hooks(self.manager)

    def only(self, hook: str, bot: RegisteredBot) -> pluggy.HookCaller:
        """Return a hook's caller that reaches this bot alone."""
        others = [other.bot for other in self.bots if other is not bot]
        return self.manager.subset_hook_caller(hook, remove_plugins=others)

    def described(self, bot: RegisteredBot) -> BotManifest:
        """Return what a bot says of itself now, its mode included; what it said at first when it fails."""
        (result,) = call_hook(self.only("describe_bot", bot)) or (None,)
        said = None if result is None else result.value
        return said if isinstance(said, BotManifest) else bot.manifest

    def _load(self, name: str) -> None:
        """Put a plugin's module into the manager, under its factory name.

        Raises:
            DiscoveryError: Not offered, not allowed, not importable, or its hooks are wrong.
        """
        allowed = self._environ.get(LOAD_PLUGINS)
        if allowed is not None and name not in {part.strip() for part in allowed.split(",")}:
            raise DiscoveryError(
                f"bot {name!r} was left out: {LOAD_PLUGINS} is {allowed!r}; add its name there"
            )
        try:
            module = self._plugins.get(name) or self._from_entry_point(name)
            self.manager.register(module, name=_factory(name))
            self._check()
        except DiscoveryError:
            raise
        except Exception as e:
            raise DiscoveryError(f"bot {name!r} was not loaded: {type(e).__name__}: {e}") from e

    def _from_entry_point(self, name: str) -> object:
        loaded = self.manager.load_setuptools_entrypoints(PROJECT_NAME, name=name)
        module = self.manager.unregister(name=name) if loaded else None
        if module is None:
            found = sorted(entry.name for entry in importlib.metadata.entry_points(group=PROJECT_NAME))
            raise DiscoveryError(
                f"bot {name!r} was not found; installed packages offer: {', '.join(found) or 'none'}"
            )
        return module

    def _register(self, name: str, services: HostServices) -> None:
        """Let the plugin build its bot, and register that under its id.

        Raises:
            DiscoveryError: The plugin raised, or its bot is not one that can be registered.
        """
        factory = self.manager.get_plugin(_factory(name))
        others = [plugin for plugin in self.manager.get_plugins() if plugin is not factory]
        results = call_hook(self.manager.subset_hook_caller("register_bot", others), host=services)
        if not results:
            raise DiscoveryError(f"plugin {name!r} had no register_bot; that hook builds the bot")
        for result in results:
            if result.error is not None:
                error = result.error
                raise DiscoveryError(f"bot {name!r} was not registered: {type(error).__name__}: {error}")
            if result.value is not None:
                self.admit(name, result.value)

    def admit(self, name: str, bot: object) -> None:
        """Register a bot under its id, or leave nothing of it behind.

        Raises:
            DiscoveryError: It cannot say who it is, needs a newer contract, breaks it, or its id is taken.
        """
        try:
            manifest: BotManifest = bot.describe_bot()  # type: ignore[attr-defined]
            require_hookspec(manifest.bot_id, needed=manifest.hookspec_version, offered=HOOKSPEC_VERSION)
        except Exception as e:
            raise DiscoveryError(f"bot {name!r} was not registered: {type(e).__name__}: {e}") from e
        bot_id = manifest.bot_id
        if self.manager.has_plugin(bot_id):
            raise DiscoveryError(f"bot id {bot_id!r} of plugin {name!r} was taken already; one bot per id")
        try:
            self.manager.register(bot, name=bot_id)
            self._check()
        except Exception as e:
            if self.manager.has_plugin(bot_id):
                self.manager.unregister(name=bot_id)
            raise DiscoveryError(f"bot {name!r} was not registered: {type(e).__name__}: {e}") from e
        self.bots += (RegisteredBot(name, manifest, bot),)

    def _check(self) -> None:
        self.manager.check_pending()
        refuse_wrappers(self.manager)


def _factory(name: str) -> str:
    return f"factory of {name}"

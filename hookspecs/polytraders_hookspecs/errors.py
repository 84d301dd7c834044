"""What the contract refuses, as a tree.

ContractError
├── WireError             bytes or a value broke the wire rules; names field, value and rule
├── EventForged           a signed event's header or signature is wrong
├── ContractTooOld        a bot needs a newer contract than the host offers; names both versions
├── HookWrapperRefused    a plugin wraps an async hook, which would finish before any body runs
├── HookTimeout           an implementation did not answer before the caller's deadline
└── HookCancelled         an implementation cancelled its own answer; it may have acted already
"""


class ContractError(Exception):
    """Base of every error the contract raises on purpose."""


class WireError(ContractError, ValueError):
    """A value on the wire broke its rule. The message names the field, the value and the rule."""


class EventForged(ContractError):
    """An event's header or signature is wrong. Nothing of its body was parsed."""


class ContractTooOld(ContractError):
    """A bot needs a newer contract than the host offers. The message names both versions."""


class HookWrapperRefused(ContractError):
    """A plugin registered a wrapper for a hook whose implementations are awaited by the caller."""


class HookTimeout(ContractError):
    """An implementation did not answer before the deadline. The message names plugin, hook and seconds."""


class HookCancelled(ContractError):
    """An implementation was cancelled, and not by the caller. The message names plugin and hook."""

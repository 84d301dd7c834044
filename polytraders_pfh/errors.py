"""What can go wrong at the borders, as a tree.

    PfhError
    ├── ConfigError        a config value broke its rule; names path, value and rule
    ├── EventRejected      an event failed its signature or its schema; nothing was touched
    ├── JournalFailed      a record was not kept, or that is not known; nothing is posted (engine.journal)
    │   └── DuplicateRecord   the log holds a record with this key already
    ├── RecordingError     a recording is broken; names file, row and what was wrong
    └── NeverTwiceError    the chain invariant would have been broken by the next send; nothing was sent

Inside the core a "no" is a value, never an exception.
"""


class PfhError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(PfhError):
    """A configuration value broke its rule. The message names the path, the value and the rule."""


class EventRejected(PfhError):
    """An event was refused before it could move anything. The message names the field and the rule."""


class RecordingError(PfhError):
    """A recording could not be read. The message names the file, the row and what was wrong."""


class NeverTwiceError(PfhError):
    """The next send would have broken Σ filled + Σ may-still-fill + new ≤ intent, so it did not happen."""

"""How a command ends: what went wrong in one sentence, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import click

from polytraders_pfh.errors import ConfigError, PfhError, RecordingError

EXIT_FAILED: Final = 1
EXIT_WRONG: Final = 2
EXIT_INTERRUPTED: Final = 130


@contextmanager
def sentences(extra: str) -> Iterator[None]:
    """Turn what can go wrong into one sentence on standard error and an exit code.

    `extra` is the optional part of the package that the command needs.
    """
    try:
        yield
    except ModuleNotFoundError as e:
        if (e.name or "").startswith("polytraders"):
            raise
        leave(
            f"this command needs {e.name}, which is not installed; "
            f"run: pip install 'polytraders-pfh[{extra}]'",
            EXIT_WRONG,
        )
    except KeyboardInterrupt:
        leave("interrupted before there was anything to sum up", EXIT_INTERRUPTED)
    except (ConfigError, RecordingError) as e:
        leave(str(e), EXIT_WRONG)
    except PfhError as e:
        leave(str(e), EXIT_FAILED)
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        leave(f"{where}{e.strerror or e}; free it, or name another", EXIT_FAILED)


def leave(sentence: str, code: int) -> NoReturn:
    """Say one sentence on standard error and end."""
    click.echo(sentence, err=True)
    sys.exit(code)

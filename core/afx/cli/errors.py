"""From an error to what the person reads and what a script gets: a sentence, a hint, an exit status."""

from __future__ import annotations

import errno
import os
import sys

import click

from afx.api.errors import AfxError, BadInputError, ConflictError, NotFoundError, PluginError

from .here import current_directory_or_none, directory_gone

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130
_BAD_INPUT = (BadInputError, NotFoundError, ConflictError, PluginError)
_LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT})


def report(error: Exception) -> int:
    """Say what went wrong on standard error; return the exit status.

    2 is for what the person can put right in the command, 1 for what failed on the way.
    """
    match error:
        case AfxError():
            is_unknown_there = error.code == "no-route"
            say(error.message, (is_unknown_there and _other_tower()) or error.hint)
            return BAD_INPUT if isinstance(error, _BAD_INPUT) else FAILED
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.ctx.get_help(), err=True)
            return BAD_INPUT
        case click.ClickException():
            context = error.ctx if isinstance(error, click.UsageError) else None
            path = context.command_path if context else "afx"
            say(_sentence(error.format_message()), f"`{path} --help` shows how it is used.")
            return BAD_INPUT
        case click.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            # Nothing more can be written, and Python must not try again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case FileNotFoundError() if _is_deleted_here():
            # A relative path cannot be followed from a directory that is gone, whoever tries it.
            return report(directory_gone())
        case OSError() if error.errno in _LACKING:
            say(f"The system refuses: {error.strerror}.", "`afx doctor` says what is short.")
            return FAILED
        case _:
            if os.environ.get("AFX_DEBUG") == "1":
                import traceback

                traceback.print_exception(error)
            say(
                _sentence(f"Something unexpected went wrong: {type(error).__name__}: {error}"),
                _other_tower() or "AFX_DEBUG=1 shows where; please report it.",
            )
            return FAILED


def say(sentence: str, hint: str) -> None:
    """Print an error and its hint."""
    click.echo(f"{click.style('Error:', fg='red')} {sentence}", err=True, color=_color())
    if hint:
        click.echo(f"{click.style('Hint:', fg='cyan')} {hint}", err=True, color=_color())


def _other_tower() -> str:
    """Say that the running Tower is of another afx, and what helps; nothing where it is not."""
    from afx.client.http import TowerAddress
    from afx.installed import installed
    from afx.settings import state_directory

    try:
        what = installed().unlike(TowerAddress.read(state_directory()).facts)
    except (AfxError, KeyError):
        return ""
    return "" if what is None else f"{what} `afx tower restart` changes that. Terminals live on."


def _is_deleted_here() -> bool:
    return current_directory_or_none() is None


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."

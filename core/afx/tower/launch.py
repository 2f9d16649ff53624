"""From an agent to the command that runs it: environment, role, conversation.

What a child inherits is decided here: the Tower's own environment, less every mark by which an agent program
knows that it runs inside another, less what is afx's own business, plus what tells the child who it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from afx.api.errors import SpawnError
from afx.api.harness import HarnessProvider, LaunchRequest
from afx.api.model import Agent, AgentKind, Command, Conversation, ConversationSource

_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")

_OF_ANOTHER_TERMINAL = (
    "COLUMNS", "KITTY_*", "LINES", "STY", "TERM_PROGRAM*", "TMUX*", "VTE_*", "WINDOWID",
)  # fmt: skip
"""What says in which terminal the Tower was started. An agent runs in another one."""

DEFAULT_ROLES: Mapping[AgentKind, str] = {
    AgentKind.ARCHITECT: (
        "You are the architect of this repository. You plan, and you hand work to builders, each of which "
        "works in a git worktree and on a branch of its own. Start one with "
        '`afx spawn NAME --task "what to do"`, see how all of them are with `afx status`, write to one with '
        '`afx send builder/NAME "text"`, read its screen with `afx logs builder/NAME`, and once its work is '
        "merged remove it with `afx cleanup builder/NAME`."
    ),
    AgentKind.BUILDER: (
        "You are a builder. You work alone in this git worktree, on a branch of your own; commit there, and "
        "do not touch other worktrees. When your task is done, or you need a decision, say so to the agent "
        'that gave you the task with `afx send architect "text"`.'
    ),
}


def child_environment(
    inherited: Mapping[str, str], harnesses: Iterable[HarnessProvider], own: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of an agent's program.

    Args:
        inherited: The Tower's environment.
        harnesses: All that are known: the marks of each are removed for every child, a shell's too.
        own: What is set last, such as AFX_AGENT.
    """
    drop = ["AFX_*", *_OF_ANOTHER_TERMINAL]
    for harness in harnesses:
        drop.extend(harness.nesting_marks)
        if any(map(_any_of(harness.nesting_marks), inherited)):
            drop.extend(harness.set_when_nested)
    is_dropped = _any_of(drop)
    kept = {name: value for name, value in inherited.items() if not is_dropped(name)}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **own}


def lasting_environment(
    agent: Agent, harness: HarnessProvider, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return what a later launch of an agent needs again of its environment.

    What was kept at its first launch stays, whatever the Tower's own environment says by now. Nothing whose
    name speaks of a secret is ever kept.
    """
    lasts = _any_of(harness.lasting_env if agent.plan else (*harness.lasting_env, *harness.home_env))
    kept = {
        name: value
        for name, value in inherited.items()
        if lasts(name) and not any(word in name.upper() for word in _SECRET_WORDS)
    }
    return {**kept, **agent.env}


def agent_environment(
    agent: Agent,
    harness: HarnessProvider | None,
    inherited: Mapping[str, str],
    harnesses: Iterable[HarnessProvider],
    own: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of an agent's program, now or at its next launch.

    Where the program keeps its conversations is what it was at the agent's first launch, whatever the Tower
    was started with since: else they would be looked for where they are not.
    """
    if harness is not None and agent.plan:
        inherited = {name: value for name, value in inherited.items() if name not in harness.home_env}
    return child_environment(inherited, harnesses, {**agent.env, **own})


def shell_command(agent: Agent, env: Mapping[str, str]) -> Command:
    """Return the command of a plain shell: $SHELL, else /bin/sh."""
    shell = env.get("SHELL") or "/bin/sh"
    return Command(argv=(shell, *agent.args), env=dict(env), cwd=agent.cwd)


def harness_command(
    agent: Agent,
    harness: HarnessProvider,
    env: Mapping[str, str],
    *,
    role: str,
    session_args: tuple[str, ...],
    directory: Path,
) -> Command:
    """Return the command that starts an agent's program, with its files written.

    Raises:
        SpawnError: It cannot be started.
    """
    _private_directory(directory)
    command = harness.launch(
        LaunchRequest(
            kind=agent.kind,
            name=agent.name,
            cwd=agent.cwd,
            env=dict(env),
            role=role,
            task=agent.task,
            args=agent.args,
            session_args=session_args,
            directory=str(directory),
        )
    )
    for path, content in command.files.items():
        _write_private(Path(path), content)
    return command


def new_conversation(
    agent: Agent, harness: HarnessProvider, at: float
) -> tuple[Conversation | None, tuple[str, ...]]:
    """Return a new conversation for an agent and the arguments that begin it.

    A harness that cannot be told an id gets no arguments, and there is nothing to store yet.
    """
    session = harness.session
    if session is None or not session.mints_ids:
        return None, ()
    minted = session.mint()
    conversation = Conversation(
        agent_id=agent.id, id=minted, harness=harness.name, source=ConversationSource.MINTED, at=at
    )
    return conversation, tuple(session.new_session_args(minted))


def read_role(kind: AgentKind, path: str) -> str:
    """Return the role text of a kind of agent: the file at `path`, or where that is empty the built-in one.

    Raises:
        SpawnError: The file cannot be read.
    """
    if not path:
        return DEFAULT_ROLES.get(kind, "")
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpawnError(
            f"The role file {path} cannot be read: {error}.", hint=f"Mend the setting {kind}.role."
        ) from None


def _any_of(patterns: Iterable[str]) -> Callable[[str], object]:
    """Return a test of whether one of the patterns stands for a name."""
    return _compiled(tuple(patterns)).match


@lru_cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


def _private_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SpawnError(
            f"{directory} could not be made: {error.strerror}.",
            hint="`afx doctor` looks at the state directory.",
        ) from None


def _write_private(path: Path, content: str) -> None:
    """Write a file of mode 0600 so that a reader sees the old content or the new, never a part."""
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".new-", delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)
    except OSError as error:
        raise SpawnError(
            f"{path} could not be written: {error.strerror}.",
            hint="`afx doctor` looks at the state directory.",
        ) from None

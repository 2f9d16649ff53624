"""The system prompt of an agent's Gemini CLI: what a coding agent does, and who this one is.

The program takes instructions beside its own from context files, whose names and places are settings of the
person's, and a whole system prompt from a file that GEMINI_SYSTEM_MD names. Settings that would win over the
person's must belong to root since 0.61, and an additional directory with a context file makes the program
ask whether it is trusted; so the role comes as a system prompt, below a short one of ours that takes the
place of the program's. The program still adds the context files that the person has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from afx.plugin import SpawnError

VARIABLE = "GEMINI_SYSTEM_MD"
FILE_NAME = "gemini-system.md"

_OFF = frozenset({"", "0", "false"})
_USUAL = frozenset({"1", "true"})

# Names in ${} are filled in by the program.
_WORK = """\
You are a software engineer who works from a terminal, with these tools:
${AvailableTools}

- Look before you change: read the files that matter, and search the code rather than guess. Never assume
  that a library or a command is there; see how the project uses it.
- Follow the project's conventions: its style, its structure, its names, its tests. Write few comments, and
  only on why.
- Do all of what you were asked, and nothing beside it. Where it is unclear and a wrong guess would cost
  much, ask.
- When you changed something, run the project's tests and its checks, and mend what you broke.
- Before a command that changes the system or cannot be undone, say what it does. Never show, log or commit
  a secret. Do not commit unless you were told to, by the person or by the text below.
- Be brief, and speak plainly. Say what you did and what is left.

${AgentSkills}

${SubAgents}
"""


def system_prompt(env: Mapping[str, str], cwd: Path, role: str) -> str:
    """Return the system prompt for an agent: the person's own where there is one, else ours, and its role.

    Raises:
        SpawnError: The person's own cannot be read.
    """
    chosen = env.get(VARIABLE, "")
    # One of ours got here when the Tower was started by an agent, and tells of that agent's role.
    if chosen.lower() in _OFF or Path(chosen).name == FILE_NAME:
        return f"{_WORK}\n{role}"
    path = Path(".gemini", "system.md") if chosen.lower() in _USUAL else Path(chosen).expanduser()
    try:
        return f"{(cwd / path).read_text(encoding='utf-8')}\n\n{role}"
    except (OSError, UnicodeDecodeError) as error:
        raise SpawnError(
            f"The system prompt {path} cannot be read: {error}.", hint=f"Mend or unset {VARIABLE}."
        ) from None

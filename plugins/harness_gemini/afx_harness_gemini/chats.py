"""Where Gemini CLI keeps the transcripts of conversations, its chats, and what is said in them.

Newer programs name a project's directory by a register of projects, older ones by a hash of its path; a
chat is one JSON document (until 0.38) or a line for each change (later).

Since 0.47 each resume leaves a small file behind, and the program's clean-up, at the next start under
another id, takes the conversation away together with such a file. So what is resumed is given a second name
beside the program's own. That small file has the minute in its name: what is resumed in the minute in which
it began would be overwritten by it, and is given another minute. Nothing else in this module changes a file,
and no file is ever removed.
"""

from __future__ import annotations

import errno
import hashlib
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

_LONGEST_TEXT = 200
_LARGEST = 256 << 20

_CHATS = "chats"
_KEPT = "chats-kept-by-afx"

# What the program itself puts into the person's mouth.
_NOT_A_PERSON = ("<session_context>", "<hook_context>", "This is the Gemini CLI. We are setting up")

# With these begins what the person tells the program, and not the agent.
_COMMANDS = ("/", "?")


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of the conversation in it.

    Attributes:
        id: The conversation's id; several files may have the same.
        project: The hash of the directory's path.
        is_main: Whether a person holds it; otherwise the program does with itself.
        began_at: None where that is not recorded.
        has_turn: Whether anybody said something to the other, which the program wants for a resume.
        first: The first words of the person, on one line.
        last: The last words of anybody, on one line.
    """

    id: str
    project: str
    is_main: bool
    began_at: float | None
    has_turn: bool
    first: str
    last: str


def home(env: Mapping[str, str]) -> Path:
    """Return the program's directory: `.gemini` in GEMINI_CLI_HOME, or in the person's home."""
    return Path(env.get("GEMINI_CLI_HOME") or env.get("HOME") or Path.home(), ".gemini")


def project_hash(real_path: str) -> str:
    """Return what chats, and older directories, call a project."""
    return hashlib.sha256(real_path.encode("utf-8", "surrogateescape")).hexdigest()


def chat_files(cwd: Path, env: Mapping[str, str]) -> list[Path]:
    """Return the files of conversations in `cwd`, in no order: the program's, and those that were kept.

    Raises:
        OSError: A directory or the register is there and cannot be read.
    """
    return [path for directory in project_directories(cwd, env) for path in _chats_in(directory)]


def keep(session_id: str, cwd: Path, env: Mapping[str, str]) -> None:
    """Give the files of a conversation a second name, and give back the first one to those that lost it.

    What cannot be kept is left as it is: it can be resumed all the same.
    """
    for path in _named_for(session_id, cwd, env):
        with suppress(OSError):
            chat = read(path)
            if chat is None or chat.id != session_id or not chat.has_turn:
                continue
            _link(path, path.parent.with_name(_KEPT if path.parent.name == _CHATS else _CHATS) / path.name)


def set_apart(session_id: str, cwd: Path, env: Mapping[str, str], now: float) -> None:
    """Rename the files of a conversation that have this minute in their names: a resume would write to them.

    Asked right before the program starts, while nobody has the conversation open. The program goes by what
    stands in a file, and not by its name.
    """
    this, before = (time.strftime("%Y-%m-%dT%H-%M", time.gmtime(at)) for at in (now, now - 60))
    for path in _named_for(session_id, cwd, env):
        if this not in path.name:
            continue
        with suppress(OSError):
            for part in (_CHATS, _KEPT):
                _rename(path.parent.with_name(part) / path.name, path.name.replace(this, before))


def _named_for(session_id: str, cwd: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that have the name of one of this conversation, up to what cannot be looked into."""
    with suppress(OSError):
        for directory in project_directories(cwd, env):
            for path in _chats_in(directory):
                if is_named_for(path, session_id):
                    yield path


def is_named_for(path: Path, session_id: str) -> bool:
    """Tell whether a file has the name of one of this conversation, which has a part of the id in it."""
    return path.stem.endswith(f"-{session_id[:8]}")


def read(path: Path) -> Chat | None:
    """Return what a file says, or None where its beginning cannot be read: the program passes it over then.

    Raises:
        OSError: The file cannot be read, or is too large to be.
    """
    status = path.stat()
    # To open a pipe that lies there would wait for a writer.
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "This is no regular file", str(path))
    if status.st_size > _LARGEST:
        raise OSError(errno.EFBIG, "This file is too large to be a chat", str(path))
    records = list(_records(path.read_bytes(), is_document=path.suffix == ".json"))
    head = records[0] if records else {}
    if not isinstance(head.get("sessionId"), str):
        return None
    messages = [message for record in records for message in _messages(record)]
    said = [(kind, words) for kind, words in map(_said, messages) if words]
    return Chat(
        id=head["sessionId"],
        project=str(head.get("projectHash", "")),
        is_main=head.get("kind", "main") == "main",
        began_at=time_of(head.get("startTime")),
        has_turn=any(kind == "gemini" or not words.startswith(_COMMANDS) for kind, words in said),
        first=next((words for kind, words in said if kind == "user"), ""),
        last=said[-1][1] if said else "",
    )


def _chats_in(directory: Path) -> list[Path]:
    """Return the program's files in a project's directory, and those that were kept and that it lost."""
    found: dict[str, Path] = {}
    for part in (_KEPT, _CHATS):
        with suppress(FileNotFoundError):
            found.update({path.name: path for path in (directory / part).iterdir() if _is_chat(path)})
    return list(found.values())


def _link(path: Path, other: Path) -> None:
    """Make `other` a name of the file at `path`, in the place of an older file where there is one."""
    other.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        if other.samefile(path):
            return
    new = other.with_name(f".{other.name}.new")
    new.unlink(missing_ok=True)
    new.hardlink_to(path)
    new.replace(other)


def _rename(path: Path, name: str) -> None:
    """Give a file another name, unless that is taken or the file is not there."""
    other = path.with_name(name)
    if path.exists() and not other.exists():
        path.rename(other)


def project_directories(cwd: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """Yield the directories, which need not exist, in which the program keeps what belongs to `cwd`."""
    real_path, directory = str(cwd.resolve()), home(env)
    names = {project_hash(real_path)}
    with suppress(FileNotFoundError):
        register = (directory / "projects.json").read_bytes()
        try:
            name = msgspec.json.decode(register)["projects"][real_path]
        except (msgspec.DecodeError, LookupError, TypeError):
            name = None
        if isinstance(name, str) and "/" not in name and name not in {"", ".", ".."}:
            names.add(name)
    # The register can be lost; what a directory says of itself is left then.
    with suppress(FileNotFoundError):
        for candidate in (directory / "tmp").iterdir():
            with suppress(FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
                if (candidate / ".project_root").read_text(encoding="utf-8").strip("\n") == real_path:
                    names.add(candidate.name)
    for name in sorted(names):
        yield directory / "tmp" / name


def _is_chat(path: Path) -> bool:
    return path.name.startswith("session-") and path.suffix in {".json", ".jsonl"}


def _records(content: bytes, *, is_document: bool) -> Iterator[dict[str, Any]]:
    """Yield the records of a chat. Only the first must be whole; any other is passed over where it is not."""
    for number, raw in enumerate([content] if is_document else content.splitlines()):
        try:
            record = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            if number == 0:
                return
            continue
        if isinstance(record, dict):
            yield record


def _messages(record: dict[str, Any]) -> list[Any]:
    """Return the messages in a record: it is one itself, or has a list of them, or sets one."""
    if "type" in record:
        return [record]
    changed = record.get("$set", record)
    messages = changed.get("messages") if isinstance(changed, dict) else None
    return messages if isinstance(messages, list) else []


def _said(message: object) -> tuple[str, str]:
    if not isinstance(message, dict) or message.get("type") not in ("user", "gemini"):
        return "", ""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return message["type"], one_line(" ".join(text for text in texts if not text.startswith(_NOT_A_PERSON)))


def one_line(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 10 * _LONGEST_TEXT].split())
    return "".join(letter for letter in line if letter.isprintable())[:_LONGEST_TEXT]


def time_of(text: object) -> float | None:
    """Return the time of a date as the program writes it, or None where it is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return None

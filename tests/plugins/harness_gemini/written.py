"""Chats as the versions of Gemini CLI write them."""

from __future__ import annotations

import json
from hashlib import sha256

# Nobody on this machine has these.
ID = "2647dc37-f7cf-4647-9e62-00000000000a"
OTHER = "3647dc37-f7cf-4647-9e62-e47afe148df3"
BEGAN = "2026-11-21T11:04:21.927Z"
BEGAN_AT = 1795259061.927

SAID = (("user", "Mend\n the roof"), ("gemini", "It is mended."))
CONTEXT = "<session_context>\nThis is the Gemini CLI.\n</session_context>"


def message(kind: str, text: str) -> dict[str, object]:
    content = [{"text": text}] if kind == "user" else text
    return {"id": f"{kind}-1", "timestamp": BEGAN, "type": kind, "content": content}


def head(cwd: object, session_id: str = ID, kind: str = "main") -> dict[str, object]:
    hashed = sha256(str(cwd).encode()).hexdigest()
    return {"sessionId": session_id, "projectHash": hashed, "startTime": BEGAN, "kind": kind}


def lines(cwd: object, session_id: str = ID, *said: tuple[str, str], kind: str = "main") -> list[str]:
    """The lines of a chat, as newer programs write them: what is said, and changes of the whole."""
    begin = {"$set": {"messages": [message("user", CONTEXT)]}}
    changes = [change for one in said for change in (message(*one), {"$set": {"lastUpdated": BEGAN}})]
    return [json.dumps(one) for one in (head(cwd, session_id, kind), begin, *changes)]

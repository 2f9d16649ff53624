"""The format of the file, as the numbered steps that lead to it.

A migration that was released is never edited: files exist that it made. A change of the format is a new
migration at the end. How migrations are run is `database`'s.
"""

from __future__ import annotations

from typing import NamedTuple

APPLICATION_ID = 0x61667800
"""What ``PRAGMA application_id`` says of our files: the letters ``afx``."""


class Migration(NamedTuple):
    """One step from format `number` - 1 to `number`.

    Attributes:
        sql: Statements. They run inside one transaction, with foreign keys checked at its end.
    """

    number: int
    about: str
    sql: str


_TABLES = """
-- Everything belongs to a host, and hosts share nothing: what another host stored is out of reach by key.

CREATE TABLE workspaces (
    host         TEXT    NOT NULL,
    path         TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    added_at     REAL    NOT NULL,
    active       INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- A forgotten workspace keeps its row, because its removed agents and their conversations stay.
    forgotten    INTEGER NOT NULL DEFAULT 0 CHECK (forgotten IN (0, 1)),
    PRIMARY KEY (host, path)
) STRICT;

CREATE TABLE agents (
    host           TEXT NOT NULL,
    id             TEXT NOT NULL,
    workspace      TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('architect', 'builder', 'shell')),
    name           TEXT NOT NULL,
    harness        TEXT,
    strategy       TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN (
        'running', 'exited', 'crashed', 'stopped', 'unreachable', 'lost', 'needs-attention'
    )),
    reason         TEXT NOT NULL,
    cwd            TEXT NOT NULL,
    branch         TEXT,
    spawned_by     TEXT,
    task           TEXT,
    args           TEXT NOT NULL CHECK (json_valid(args)),
    past_terminals TEXT NOT NULL CHECK (json_valid(past_terminals)),
    created_at     REAL NOT NULL,
    removed_at     REAL,
    PRIMARY KEY (host, id),
    FOREIGN KEY (host, workspace) REFERENCES workspaces (host, path) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE UNIQUE INDEX live_agents ON agents (host, workspace, kind, name) WHERE removed_at IS NULL;

CREATE TABLE conversations (
    host     TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    id       TEXT NOT NULL,
    harness  TEXT NOT NULL,
    source   TEXT NOT NULL CHECK (source IN ('minted', 'captured', 'discovered', 'given')),
    at       REAL NOT NULL,
    PRIMARY KEY (host, agent_id, id),
    FOREIGN KEY (host, agent_id) REFERENCES agents (host, id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TRIGGER conversations_stay BEFORE DELETE ON conversations
BEGIN
    SELECT RAISE(ABORT, 'conversations are never deleted');
END;

CREATE TRIGGER conversations_are_not_changed BEFORE UPDATE ON conversations
BEGIN
    SELECT RAISE(ABORT, 'conversations are never changed');
END;

-- Whatever the statement says about conflicts, OR REPLACE included, the row that is stored stays.
CREATE TRIGGER conversations_are_added_once BEFORE INSERT ON conversations
WHEN EXISTS (
    SELECT 1 FROM conversations WHERE host = NEW.host AND agent_id = NEW.agent_id AND id = NEW.id
)
BEGIN
    SELECT RAISE(IGNORE);
END;

CREATE TABLE messages (
    host         TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent_id     TEXT NOT NULL,
    text         TEXT NOT NULL,
    at           REAL NOT NULL,
    delivered_at REAL,
    PRIMARY KEY (host, id),
    FOREIGN KEY (host, agent_id) REFERENCES agents (host, id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE INDEX waiting_messages ON messages (host, at) WHERE delivered_at IS NULL;
CREATE INDEX messages_of_agent ON messages (host, agent_id);

CREATE TABLE terminal_sessions (
    host          TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    agent_id      TEXT    NOT NULL,
    strategy      TEXT    NOT NULL,
    handle        TEXT    NOT NULL CHECK (json_valid(handle)),
    pid           INTEGER,
    process_start TEXT,
    boot_id       TEXT,
    cols          INTEGER NOT NULL,
    rows          INTEGER NOT NULL,
    started_at    REAL    NOT NULL,
    predecessors  TEXT    NOT NULL CHECK (json_valid(predecessors)),
    exit_code     INTEGER,
    exit_signal   INTEGER,
    exited_at     REAL,
    PRIMARY KEY (host, id),
    FOREIGN KEY (host, agent_id) REFERENCES agents (host, id) DEFERRABLE INITIALLY DEFERRED,
    -- A pid alone is no identity.
    CHECK ((pid IS NULL) = (process_start IS NULL) AND (pid IS NULL) = (boot_id IS NULL)),
    CHECK (exited_at IS NOT NULL OR (exit_code IS NULL AND exit_signal IS NULL))
) STRICT;

CREATE INDEX terminals_of_agent ON terminal_sessions (host, agent_id);
"""

_REVIVAL = """
-- What a later launch of an agent needs, and how it was last brought back.
ALTER TABLE agents ADD COLUMN owns_branch INTEGER NOT NULL DEFAULT 0 CHECK (owns_branch IN (0, 1));
ALTER TABLE agents ADD COLUMN conversation TEXT;
ALTER TABLE agents ADD COLUMN conversation_before TEXT;
ALTER TABLE agents ADD COLUMN env TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(env));
ALTER TABLE agents ADD COLUMN cols INTEGER;
ALTER TABLE agents ADD COLUMN rows INTEGER CHECK ((rows IS NULL) = (cols IS NULL));
ALTER TABLE agents ADD COLUMN plan TEXT CHECK (plan IS NULL OR json_valid(plan));

-- Whose right it is to start an agent's program: one process's at a time.
CREATE TABLE claims (
    host          TEXT    NOT NULL,
    agent_id      TEXT    NOT NULL,
    pid           INTEGER NOT NULL,
    process_start TEXT    NOT NULL,
    boot_id       TEXT    NOT NULL,
    PRIMARY KEY (host, agent_id)
) STRICT;
"""

MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "the first tables", _TABLES),
    Migration(2, "claims, and what a later launch of an agent needs", _REVIVAL),
)

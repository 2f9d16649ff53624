"""Errors that are sentences for a person: what happened, to which thing, what to do now."""


class AfxError(Exception):
    """A failure with a sentence for the person and, where there is one, a hint about what to do.

    Attributes:
        code: A short stable word for programs, such as ``"not-found"``. It is the ``code`` on the wire.
        message: One sentence that says what happened and to which thing.
        hint: What to do now, or the empty string where nothing useful can be said.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class BadInputError(AfxError):
    """The person, or a client on the person's behalf, gave something that cannot be used as it is."""

    code = "bad-input"


class NotFoundError(AfxError):
    """The thing that was named is not there."""

    code = "not-found"


class ConflictError(AfxError):
    """The thing cannot be done in the present state: a taken name, unpushed work, an agent that runs."""

    code = "conflict"


class UnreachableError(AfxError):
    """Something that should answer did not. It is not known to be dead, so nothing was changed."""

    code = "unreachable"


class ConnectionLostError(UnreachableError):
    """The connection to a terminal's holder ended. The holder itself may well be alive."""

    code = "connection-lost"


class SpawnError(AfxError):
    """A terminal could not be started. Nothing is left behind of the attempt."""

    code = "spawn-failed"


class UninstalledError(SpawnError):
    """What terminals are started from is gone from the disk. An upgrade removes it for a moment only."""

    code = "uninstalled"


class SystemRefusedError(AfxError):
    """The operating system has none left of something: file descriptors, processes, memory, space."""

    code = "system"


class StorageError(AfxError):
    """The storage could not be opened, read or written."""

    code = "storage"


class StorageTooNewError(StorageError):
    """The storage was written by a newer afx than this one, and is left untouched."""

    code = "storage-too-new"


class PluginError(AfxError):
    """A plugin that was asked for by name is missing, broken, or claimed by two distributions."""

    code = "plugin"

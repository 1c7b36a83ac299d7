"""Every error the protocol raises on purpose, and what each asks of its reader.

    PostAuditError                    exit 1   something went wrong; the message says what to do
    ├── ConfigurationError            exit 2   a setting, an address or an installation is wrong
    │   ├── InvalidSetting            exit 2   one setting has a value that cannot be used
    │   ├── DatabaseUnreachable       exit 2   nobody answers at the address
    │   ├── CredentialsRefused        exit 2   the database does not accept who we say we are
    │   ├── NotMigrated               exit 2   the migration is missing or older than this program
    │   └── BindingNeeded             exit 2   PT424: a role has no table it may use
    ├── InputError                    exit 2   a file or argument is unusable; nothing was changed
    └── DatabaseError                 exit 1   the database refused or failed one call
        ├── NotFound                  exit 2   P0002: no such run, decision, step or message
        ├── StateMoved                exit 1   PT409: the facts changed since they were read
        ├── RunLost                   exit 1   PT423: the run belongs to another worker now
        ├── PermissionRefused         exit 1   class 42501, 28, 0L, 0P
        ├── FunctionMissing           exit 1   42883, 42P01, 3F000
        ├── InvalidArgument           exit 2   class 22, 23, 42703, 42704, 42804, P0001
        ├── Contention                exit 1   40001, 40P01, 55P03: rolled back, may be repeated
        ├── TookTooLong               exit 1   57014: over the time limit, rolled back
        ├── ConnectionLost            exit 1   class 08, 53, 57P: the outcome is unknown
        └── UnexpectedAnswer          exit 1   an answer of a shape that this program does not know

Rules of this file: an error's message is a sentence for a person and never holds a secret; `cure` says what
to do next; nothing here imports anything of the project, so that every layer may raise these.
"""

from __future__ import annotations

from typing import ClassVar, Final

__all__ = [
    "BindingNeeded",
    "ConfigurationError",
    "ConnectionLost",
    "Contention",
    "CredentialsRefused",
    "DatabaseError",
    "DatabaseUnreachable",
    "FunctionMissing",
    "InputError",
    "InvalidArgument",
    "InvalidSetting",
    "NotFound",
    "NotMigrated",
    "PermissionRefused",
    "PostAuditError",
    "RunLost",
    "StateMoved",
    "TookTooLong",
    "UnexpectedAnswer",
    "error_for_sqlstate",
]


class PostAuditError(Exception):
    """Something the protocol met and could not settle by itself.

    `message` says what happened, `cure` what the reader does about it. `exit_code` is what the command line
    ends with and `http_status` what the API answers with.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class ConfigurationError(PostAuditError):
    """A setting, an address or an installation is wrong."""

    exit_code = 2
    http_status = 503


class InvalidSetting(ConfigurationError):
    """One setting has a value that cannot be used."""


class DatabaseUnreachable(ConfigurationError):
    """Nobody answers at the database's address."""


class CredentialsRefused(ConfigurationError):
    """The database does not accept the name or the password."""


class NotMigrated(ConfigurationError):
    """The migration has not been applied, or an older one has."""


class BindingNeeded(ConfigurationError):
    """A role has no table that the protocol may use."""


class InputError(PostAuditError):
    """A file or an argument is unusable; nothing was changed."""

    exit_code = 2
    http_status = 422


class DatabaseError(PostAuditError):
    """The database refused or failed one call; `sqlstate` is its five-character code, where it gave one."""

    def __init__(self, message: str, *, cure: str = "", sqlstate: str | None = None) -> None:
        super().__init__(message, cure=cure)
        self.sqlstate = sqlstate


class NotFound(DatabaseError):
    """There is no run, decision, step or message of that name."""

    exit_code = 2
    http_status = 404


class StateMoved(DatabaseError):
    """What the decision was made on has changed since it was read; nothing was done."""

    http_status = 409


class RunLost(DatabaseError):
    """The run belongs to another worker now, or has ended; this one does nothing more."""

    http_status = 409


class PermissionRefused(DatabaseError):
    """The database role may not do this."""

    http_status = 403


class FunctionMissing(DatabaseError):
    """A function or table of the migration is not there."""

    http_status = 503


class InvalidArgument(DatabaseError):
    """The database found a value that it cannot take."""

    exit_code = 2
    http_status = 422


class Contention(DatabaseError):
    """Another transaction stood in the way; this one was rolled back and may be repeated."""

    http_status = 503


class TookTooLong(DatabaseError):
    """The call ran into its time limit and was rolled back."""

    http_status = 503


class ConnectionLost(DatabaseError):
    """The connection broke during the call; whether it took effect is not known."""

    http_status = 503


class UnexpectedAnswer(DatabaseError):
    """The database answered in a shape that this program does not know."""


# The longest prefix wins, so one code can differ from its class. Classes as PostgreSQL's appendix A names them.
_BY_PREFIX: Final[dict[str, tuple[type[DatabaseError], str]]] = {
    "P0002": (NotFound, ""),
    "PT409": (StateMoved, ""),
    "PT423": (RunLost, "The worker that took over finishes it; see: post-audit status."),
    "PT": (DatabaseError, ""),
    "42501": (PermissionRefused, "Give the database role the grants of the migration (apply it again)."),
    "28": (PermissionRefused, "Check the user and its rights in DATABASE_URL."),
    "0L": (PermissionRefused, "Check the rights of the database role."),
    "0P": (PermissionRefused, "Check the rights of the database role."),
    "42883": (FunctionMissing, "Apply the migration again: post-audit migrate."),
    "42P01": (FunctionMissing, "Apply the migration again: post-audit migrate."),
    "3F000": (FunctionMissing, "Apply the migration: post-audit migrate."),
    "42704": (InvalidArgument, ""),
    "42703": (InvalidArgument, ""),
    "42804": (InvalidArgument, ""),
    "22": (InvalidArgument, ""),
    # "unsupported Unicode escape sequence": of all that JSON can write, only NUL
    "22P05": (InvalidArgument, "Leave out the character NUL (\\u0000), which PostgreSQL cannot hold."),
    "23": (InvalidArgument, ""),
    "P0001": (InvalidArgument, ""),
    "40001": (Contention, "Try again."),
    "40P01": (Contention, "Try again."),
    "55P03": (Contention, "Another transaction holds the lock; try again when it has ended."),
    "57014": (TookTooLong, "Try again; if it stays, look for a missing index or a stuck transaction."),
    "08": (ConnectionLost, "Run again: what was decided before is kept and not decided twice."),
    "53": (
        ConnectionLost,
        "The server is out of connections, memory or disk; run again when it has recovered.",
    ),
    "57P": (ConnectionLost, "The server is restarting; run again in a moment."),
}

# What PostgreSQL itself advises about a function that is not there: "... You might need to add explicit type casts."
_FOR_PROGRAMMERS: Final = ("No function matches ", "No procedure matches ", "No operator matches ")


def error_for_sqlstate(sqlstate: str | None, message: str, hint: str = "") -> DatabaseError | BindingNeeded:
    """Name the error of one SQLSTATE, the same for every transport.

    `hint` is the server's own (our functions put the cure there) and takes precedence over the general one.
    """
    code = sqlstate or ""
    if code == "PT424":
        return BindingNeeded(message, cure=hint)
    for length in range(len(code), 1, -1):
        found = _BY_PREFIX.get(code[:length])
        if found is not None:
            kind, cure = found
            is_told = bool(hint) and not hint.startswith(_FOR_PROGRAMMERS)
            return kind(message, cure=hint if is_told else cure, sqlstate=code)
    return DatabaseError(message, cure=hint, sqlstate=sqlstate)

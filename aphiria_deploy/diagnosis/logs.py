"""What the last lines of a log say, as a table: the words of PostgreSQL, PHP, nginx, Node.js and the C library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LogCause:
    """One row.

    Attributes:
        pattern: What a line contains.
        hint: What to do next; filled with the groups of the pattern.
    """

    pattern: str
    hint: str


LOG_CAUSES: tuple[LogCause, ...] = (
    LogCause(
        r"password authentication failed for user|no password supplied|SCRAM authentication",
        "The database knows another password: the Secret was rotated, or the database made anew, after its role was "
        "made; run the database Job again.",
    ),
    LogCause(
        r"database \"(?P<database>[^\"]+)\" does not exist",
        "The database {database} was not made: look at the Job that makes it, and at DB_NAME.",
    ),
    LogCause(
        r"role \"(?P<role>[^\"]+)\" does not exist",
        "The role {role} was not made: look at the Job that makes the database, and at DB_USER.",
    ),
    LogCause(
        r"no pg_hba\.conf entry",
        "The database server does not let this client in: check pg_hba.conf, and whether TLS is asked for.",
    ),
    LogCause(
        r"too many clients already|remaining connection slots are reserved",
        "The database has no free connections: lower the pools of its clients, or raise max_connections.",
    ),
    LogCause(
        r"could not translate host name|php_network_getaddresses|getaddrinfo|Name or service not known"
        r"|Temporary failure in name resolution|host not found in upstream|Could not resolve host|ENOTFOUND",
        "A host name is not found: check it, and whether the NetworkPolicy allows DNS.",
    ),
    LogCause(
        r"SQLSTATE\[08|could not connect to server|connection to server at|ECONNREFUSED|[Cc]onnection refused",
        "A server that it needs refuses the connection, most often the database: check that it runs, its host and "
        "port, and whether the NetworkPolicy allows the way to it.",
    ),
    LogCause(
        r"[Cc]onnection timed out|ETIMEDOUT|[Oo]peration timed out|No route to host|Network is unreachable",
        "A server that it needs cannot be reached: a NetworkPolicy that does not allow the way to it answers like "
        "this.",
    ),
    LogCause(
        r"SQLSTATE\[(?P<state>[0-9A-Z]{5})\]",
        "The database refused a statement (SQLSTATE {state}): a migration does not fit the schema, or was changed "
        "after it ran.",
    ),
    LogCause(
        r"[Rr]ead-only file ?system|EROFS",
        "The file system is read-only (readOnlyRootFilesystem): mount an emptyDir where it writes.",
    ),
    LogCause(
        r"bind\(\) to \S+ failed \(13: Permission denied\)|EACCES.*listen|listen EACCES",
        "It may not listen on a port below 1024 without being root: take a port above.",
    ),
    LogCause(
        r"[Aa]ddress already in use|EADDRINUSE",
        "Two programs of the pod listen on the same port: change one of them.",
    ),
    LogCause(
        r"[Pp]ermission denied|EACCES|[Oo]peration not permitted",
        "It lacks a permission: check runAsUser, fsGroup and the owner of the files in the image.",
    ),
    LogCause(
        r"No space left on device|ENOSPC",
        "A volume is full: raise the emptyDir's sizeLimit or the claim's size, or clean up.",
    ),
    LogCause(
        r"Allowed memory size of (?P<bytes>\d+) bytes exhausted",
        "PHP's memory_limit ({bytes} bytes) is too small for it: raise it, below the container's limit.",
    ),
    LogCause(
        r"JavaScript heap out of memory",
        "Node's heap is too small: raise --max-old-space-size, below the container's limit.",
    ),
    LogCause(
        r"exec format error|cannot execute binary file",
        "The image was built for another architecture than the node's (docker buildx build --platform).",
    ),
    LogCause(
        r"(?P<program>[\w./-]+): (command )?not found|No such file or directory|ENOENT",
        "A file or program is missing in the image, or is not mounted: check command, args and volume mounts.",
    ),
    LogCause(
        r"Class \"?[\w\\]+\"? not found|Cannot find module|ModuleNotFoundError",
        "A dependency is missing in the image: was it installed, and the autoloader dumped, when it was built?",
    ),
    LogCause(
        r"([Ee]nvironment )?variable \"?(?P<variable>[A-Z][A-Z0-9_]+)\"? (is )?(not set|missing|required|undefined)",
        "The variable {variable} is missing: add it to the ConfigMap or Secret of the container.",
    ),
    LogCause(
        r"\[emerg\]",
        "nginx does not accept its configuration: correct the ConfigMap at the line that is named.",
    ),
    LogCause(
        r"PHP (Fatal|Parse) error|Uncaught \S*(Exception|Error)|Traceback \(most recent call last\)|^panic: ",
        "The program fails by itself: the log has the place.",
    ),
)


def explain(lines: Sequence[str]) -> tuple[str, str] | None:
    """The line that says why, and what to do about it; None when no line is understood.

    The row decides before the place: a database that refuses comes before the exception that it causes. Of the lines
    that fit a row it is the last.
    """
    for cause in LOG_CAUSES:
        for line in reversed(lines):
            if found := re.search(cause.pattern, line):
                groups = {key: value or "" for key, value in found.groupdict().items()}
                return line, cause.hint.format_map(groups)
    return None

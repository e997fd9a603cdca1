"""Shell that runs an SQL script with psql, and waits for what passes by itself."""

from __future__ import annotations

WAIT_SECONDS = 75
"""How long one attempt of a Job waits: three of them end, with their log, before the deadline deletes it."""

# What libpq and the server say when the same connection may succeed a moment later.
_PASSING = (
    "Connection refused",
    "Connection reset",
    "could not translate host name",
    "timeout expired",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "the database system is ",
    "too many clients already",
    "remaining connection slots are reserved",
    "server closed the connection unexpectedly",
    "terminating connection due to administrator command",
    "terminating connection because of crash of another server process",
)

PSQL = "psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set ON_ERROR_STOP=1"


def run_sql(script: str) -> str:
    r"""Gives POSIX shell that runs a script which may find its work done, and half done.

    A connection that cannot be had now, or is lost in the middle, is tried again, and the log says why. Everything
    else ends with psql's exit code, after the server's message. psql gets names from the environment, with
    ``\getenv``: no shell sees them.

    Args:
        script: SQL and psql's commands; no line is ``SQL``.
    """
    passing = " | ".join(f'"2 "*"{text}"*' for text in _PASSING)
    return f"""\
run() {{
{PSQL} 2>&1 <<'SQL'
{script}SQL
}}
end=$(($(date +%s) + {WAIT_SECONDS}))
said=
until log=$(run); do
  status=$?
  case "$status $log" in
    {passing}) ;;
    *) end=0 ;;
  esac
  if [ "$(date +%s)" -ge "$end" ]; then
    printf '%s\\n' "$log" >&2
    exit "$status"
  fi
  if [ "$log" != "$said" ]; then
    printf 'waiting for the server: %s\\n' "$log" >&2
    said=$log
  fi
  sleep 1
done
printf '%s\\n' "$log"
"""


def raise_where(message: str, condition: str) -> str:
    """Gives SQL that fails the script with a message where a condition holds.

    Args:
        message: An SQL expression of the message.
        condition: What follows the SELECT list: ``WHERE …``, or ``FROM … WHERE …``.
    """
    # USING MESSAGE: elsewhere a % in a name would stand for a parameter.
    block = f"format('BEGIN RAISE EXCEPTION USING MESSAGE = %L; END', {message})"
    return f"SELECT format('DO %L', {block})\n {condition} \\gexec\n"

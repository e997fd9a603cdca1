"""What the containers of a restore run, likewise.

The database becomes another one beside itself: a backup is restored into a new database, verified there, and then both
change their names in one transaction. What was there before is kept, as ``DATABASE_before_YYYYMMDDHHMMSS``. What a
rehearsal (:mod:`constructs_lib.rehearsal_script`) was killed over is removed by a restore too.
"""

from __future__ import annotations

from constructs_lib.backup_scripts import FOLDER, NAME, OF_IT, ROWS, script
from constructs_lib.psql import PSQL, raise_where, run_sql
from constructs_lib.rehearsal_script import CLEAR

LONGEST_NAME = 63 - len("_restoring_") - 14
"""How long the name of a database may be, so that those beside it have names too."""

DOWNLOAD = script(
    r"""set -eu
name=$BACKUP_NAME
remote="backup:$BACKUP_BUCKET/$BACKUP_PREFIX"
if ! printf '%s\n' "$name" | grep -qxE "@NAME@$BACKUP_DATABASE"; then
  printf 'error: found %s, expected the name of a backup, such as 2026/01/31/020000Z-%s; ' \
    "$name" "$BACKUP_DATABASE" >&2
  printf 'database %s is as it was\n' "$BACKUP_DATABASE" >&2
  exit 1
fi
ended() {
  status=$?
  if [ "$status" -ne 0 ]; then
    printf 'error: backup %s cannot be restored; database %s is as it was; ' "$name" "$BACKUP_DATABASE" >&2
@OF_IT@  fi
}
trap ended EXIT
cd @FOLDER@
found=$(rclone lsf --recursive --files-only --include "/$name.sha256" "$remote")
if [ -z "$found" ]; then
  printf 'error: found no %s.sha256, expected the checksums that a complete backup ends with\n' "$name" >&2
  exit 1
fi
for part in sha256 dump roles.sql rows; do
  rclone copyto "$remote/$name.$part" "$name.$part"
done
for part in dump roles.sql rows; do
  if ! grep "  $name.$part\$" "$name.sha256" >/tmp/checksum || ! sha256sum -c /tmp/checksum; then
    printf 'error: %s.%s: found %s bytes that are not those which were uploaded\n' \
      "$name" "$part" "$(stat -c %s "$name.$part")" >&2
    exit 1
  fi
done
""",
    FOLDER=FOLDER,
    NAME=NAME,
    OF_IT=OF_IT,
)

# A restore that was killed leaves a database that nobody uses, and the next one removes it. Whoever is connected would
# keep the database from being renamed, and is thrown out; whoever comes meanwhile waits, and finds the new one. An
# answer that was lost on its way does not make it happen twice.
RESTORE = script(
    r"""set -eu
ended() {
  status=$?
  if [ "$status" -ne 0 ]; then
    printf 'error: backup %s was not restored; database %s is as it was\n' "$BACKUP_NAME" "$DATABASE_NAME" >&2
  fi
}
trap ended EXIT
stem="@FOLDER@/$BACKUP_NAME"
started=$(date -u +%Y%m%d%H%M%S)
export RESTORING="${DATABASE_NAME}_restoring_$started" KEPT="${DATABASE_NAME}_before_$started"
@PSQL@ <<'SQL'
@CLEAR@SQL
@PSQL@ --file="$stem.roles.sql"
@PSQL@ <<'SQL'
\getenv database DATABASE_NAME
\getenv role DATABASE_ROLE
\getenv restoring RESTORING
SELECT format('DROP DATABASE %I', datname) FROM pg_database
 WHERE datname ~ ('^' || :'database' || '_restoring_[0-9]{14}$') \gexec
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', :'restoring', :'role') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'restoring') \gexec
SQL
pg_restore --no-password --exit-on-error --dbname="$RESTORING" "$stem.dump"
printf 'backup %s: restored into %s\n' "$BACKUP_NAME" "$RESTORING"
@PSQL@ --dbname="$RESTORING" >/tmp/rows <<'SQL'
@ROWS@SQL
if ! diff -u "$stem.rows" /tmp/rows; then
  printf 'error: found other numbers of rows (+) than were backed up (-)\n' >&2
  exit 1
fi
printf 'backup %s: verified, %s tables with every row\n' "$BACKUP_NAME" "$(wc -l </tmp/rows)"
@PSQL@ --dbname="$RESTORING" --command=ANALYZE
swap() {
@PSQL@ <<'SQL'
\getenv database DATABASE_NAME
\getenv restoring RESTORING
\getenv kept KEPT
SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'restoring') AS waiting \gset
\if :waiting
BEGIN;
SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity WHERE datname = :'database' \gset
SELECT format('ALTER DATABASE %I RENAME TO %I', datname, :'kept') FROM pg_database WHERE datname = :'database' \gexec
SELECT format('ALTER DATABASE %I RENAME TO %I', :'restoring', :'database') \gexec
COMMIT;
\endif
SELECT json_build_object('restored', datname, 'kept', (SELECT datname FROM pg_database WHERE datname = :'kept'))
  FROM pg_database WHERE datname = :'database';
SQL
}
attempts=5
until swap; do
  attempts=$((attempts - 1))
  [ "$attempts" -gt 0 ]
done
""",
    FOLDER=FOLDER,
    PSQL=PSQL,
    CLEAR=CLEAR,
    ROWS=ROWS,
)

LIST_KEPT = run_sql(
    r"""\getenv database DATABASE_NAME
SELECT json_build_object('database', datname, 'bytes', pg_database_size(oid))
  FROM pg_database WHERE datname ~ ('^' || :'database' || '_before_[0-9]{14}$') ORDER BY datname;
"""
)

DISCARD = run_sql(
    script(
        r"""\getenv database DATABASE_NAME
\getenv kept KEPT_DATABASE
@REFUSE@SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname = :'kept' \gexec
SELECT format('database %s is gone', :'kept');
""",
        REFUSE=raise_where(
            "format('found %s, expected a database that a restore kept, such as %s_before_20260131020000:'\n"
            " ' nothing was dropped', :'kept', :'database')",
            "WHERE :'kept' !~ ('^' || :'database' || '_before_[0-9]{14}$')",
        ),
    )
)

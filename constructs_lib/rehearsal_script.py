"""What rehearses a restore: a backup is restored into a new database, verified there, and that one is dropped again.

Nothing of the server's is changed. Roles that the backup has and the server has not are made without login or powers,
for as long as it lasts; the backup's own statements about roles run in a transaction that is rolled back.
"""

from __future__ import annotations

from constructs_lib.backup_scripts import FOLDER, ROWS, script
from constructs_lib.psql import PSQL

# What a rehearsal has made. Roles are told by their comments: there are none of theirs in names.
CLEAR = r"""\getenv database DATABASE_NAME
SELECT 'made by a rehearsal of ' || :'database' AS made \gset
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
 WHERE datname ~ ('^' || :'database' || '_rehearsal_[0-9]{14}$') \gexec
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = :'made' \gexec
"""

# What takes long runs in the background, since a shell acts on a signal only between two commands: a pod that is
# deleted leaves nothing behind. What was killed is removed by the next one.
REHEARSE = script(
    r"""set -eu
clear() {
@PSQL@ <<'SQL'
@CLEAR@SQL
}
ended() {
  status=$?
  trap - EXIT TERM
  if [ "$status" -ne 0 ]; then
    if ! clear; then
      printf 'error: what this rehearsal has made is left, the next one or a restore removes it\n' >&2
    fi
    printf 'error: backup %s: its restore failed in the rehearsal; database %s is as it was\n' \
      "$BACKUP_NAME" "$DATABASE_NAME" >&2
  fi
  exit "$status"
}
trap ended EXIT
trap 'exit 143' TERM
stem="@FOLDER@/$BACKUP_NAME"
export ROLES="$stem.roles.sql" REHEARSAL="${DATABASE_NAME}_rehearsal_$(date -u +%Y%m%d%H%M%S)"
clear
@PSQL@ <<'SQL'
\getenv database DATABASE_NAME
\getenv role DATABASE_ROLE
\getenv roles ROLES
\getenv rehearsal REHEARSAL
SELECT 'made by a rehearsal of ' || :'database' AS made \gset
SELECT coalesce(json_agg(rolname), '[]') AS there FROM pg_roles \gset
BEGIN;
\i :roles
SELECT coalesce(json_agg(rolname), '[]') AS missing FROM pg_roles
 WHERE rolname NOT IN (SELECT json_array_elements_text(:'there')) \gset
ROLLBACK;
BEGIN;
SELECT format('CREATE ROLE %I', name) FROM json_array_elements_text(:'missing') AS name \gexec
SELECT format('COMMENT ON ROLE %I IS %L', name, :'made') FROM json_array_elements_text(:'missing') AS name \gexec
COMMIT;
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', :'rehearsal', :'role') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'rehearsal') \gexec
SQL
pg_restore --no-password --exit-on-error --dbname="$REHEARSAL" "$stem.dump" &
wait "$!"
printf 'backup %s: restored into %s\n' "$BACKUP_NAME" "$REHEARSAL"
@PSQL@ --dbname="$REHEARSAL" >/tmp/rows <<'SQL' &
@ROWS@SQL
wait "$!"
if ! diff -u "$stem.rows" /tmp/rows; then
  printf 'error: found other numbers of rows (+) than were backed up (-)\n' >&2
  exit 1
fi
TABLES=$(wc -l </tmp/rows)
ROWS=$(awk -F '|' '{ rows += $NF } END { printf "%.0f", rows }' /tmp/rows)
export TABLES ROWS
printf 'backup %s: verified, %s tables with every row\n' "$BACKUP_NAME" "$TABLES"
answer=$(@PSQL@ <<'SQL'
\getenv rehearsal REHEARSAL
\getenv name BACKUP_NAME
\getenv tables TABLES
\getenv rows ROWS
SELECT json_build_object('rehearsed', :'name', 'tables', :'tables'::bigint, 'rows', :'rows'::numeric,
                         'bytes', pg_database_size(:'rehearsal'));
SQL
)
clear
printf 'database %s is gone\n%s\n' "$REHEARSAL" "$answer"
""",
    FOLDER=FOLDER,
    PSQL=PSQL,
    CLEAR=CLEAR,
    ROWS=ROWS,
)

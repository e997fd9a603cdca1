r"""What the containers of backups run: shell that needs busybox and the image's own programs, nothing else.

A backup is called ``YYYY/MM/DD/HHMMSSZ-DATABASE``, in UTC, and is four objects of that name:

- ``.dump``: the database, in PostgreSQL's custom format;
- ``.roles.sql``: the server's roles without their passwords, as SQL that makes those which are missing;
- ``.rows``: how many rows each table has in the dump;
- ``.sha256``: the checksums of the others. It comes last, when they were read back: without it there is no backup.

Each script, whatever it fails at, ends with what is there and what is not.
"""

from __future__ import annotations

from constructs_lib.psql import PSQL, raise_where

FOLDER = "/backup"
"""Where the containers of one pod hand files to each other."""

NAME = "[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{6}Z-"
"""How the name of a backup begins; the database's follows."""

# In the snapshot of the dump, and after a restore. What extensions brought is theirs to fill.
ROWS = """\
SET search_path = '';
SET row_security = off;
SELECT format('SELECT %L, count(*) FROM ONLY %s', name, name)
  FROM (SELECT class.oid::regclass::text COLLATE "C" AS name
          FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
         WHERE relkind = 'r' AND relpersistence <> 't' AND nspname <> 'information_schema' AND nspname !~ '^pg_'
           AND NOT EXISTS (SELECT FROM pg_depend
                            WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'e')) AS tables
 ORDER BY name \\gexec
"""

# Plain SQL, for people too: a role that is there stays as it is. Passwords are left out: the database's Job sets them.
_ROLES = """\
SELECT format('DO %L;', format('BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %L) THEN'
                               ' CREATE ROLE %I %s CONNECTION LIMIT %s%s; END IF; END',
                               rolname, rolname, powers, rolconnlimit,
                               ' VALID UNTIL ' || quote_literal(rolvaliduntil)))
  FROM (SELECT *, concat_ws(' ', CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                            CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcanlogin THEN 'LOGIN' END,
                            CASE WHEN rolreplication THEN 'REPLICATION' END,
                            CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
                            CASE WHEN NOT rolinherit THEN 'NOINHERIT' END) AS powers
          FROM pg_roles) AS roles
 WHERE rolname !~ '^pg_' ORDER BY rolname;
SELECT format('GRANT %I TO %I%s;', granted.rolname, holder.rolname,
              CASE WHEN admin_option THEN ' WITH ADMIN OPTION' END)
  FROM pg_auth_members
  JOIN pg_roles AS granted ON granted.oid = roleid
  JOIN pg_roles AS holder ON holder.oid = member
 WHERE holder.rolname !~ '^pg_' ORDER BY 1;
"""


def script(text: str, **parts: str) -> str:
    """Gives a script with parts of it in the places of ``@NAME@``."""
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


DUMP = script(
    r"""set -eu
name="$(date -u +%Y/%m/%d/%H%M%SZ)-$PGDATABASE"
ended() {
  status=$?
  if [ "$status" -ne 0 ]; then
    printf 'error: backup %s: no dump; nothing was uploaded, older backups are as they were\n' "$name" >&2
  fi
}
trap ended EXIT
export DUMP="@FOLDER@/$name.dump" ROLES="@FOLDER@/$name.roles.sql" ROWS="@FOLDER@/$name.rows"
mkdir -p "$(dirname "$DUMP")"
@PSQL@ <<'SQL'
\getenv roles ROLES
\getenv rows ROWS
SET idle_in_transaction_session_timeout = 0;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot \gset
\setenv SNAPSHOT :snapshot
\set dumped `pg_dump --no-password -Fc --snapshot="$SNAPSHOT" --file="$DUMP" </dev/null >&2 && echo yes`
@FAILED@\o :roles
@ROLES@\o :rows
@ROWS@\o
COMMIT;
SQL
pg_restore --list "$DUMP" >/dev/null
cd @FOLDER@
sha256sum "$name.dump" "$name.roles.sql" "$name.rows" >"$name.sha256"
printf 'backup %s: dumped, %s bytes\n' "$name" "$(stat -c %s "$name.dump")"
""",
    FOLDER=FOLDER,
    PSQL=PSQL,
    FAILED=raise_where("'pg_dump failed'", "WHERE :'dumped' <> 'yes'"),
    ROLES=_ROLES,
    ROWS=ROWS,
)

OF_IT = r"""    printf 'of it the bucket has:\n' >&2
    rclone lsf --format sp --separator ' bytes  ' --recursive --files-only --include "/$name.*" "$remote" >&2 || true
"""

# Each object is read back, as a whole: what a service says of an object's checksum is what it was told.
# What is too old is decided by the name. The newest complete one always stays; one that was never completed goes after
# a day, since it may be another run's that is on its way. The checksums go first: half removed, it is no backup.
UPLOAD = script(
    r"""set -eu
complete=
cd @FOLDER@
name=$(find . -name '*.sha256')
name=${name#./}
name=${name%.sha256}
remote="backup:$BACKUP_BUCKET/$BACKUP_PREFIX"
ended() {
  status=$?
  if [ "$status" -ne 0 ] && [ "$complete" ]; then
    printf 'error: backup %s is complete, but not every old one could be removed\n' "$name" >&2
  elif [ "$status" -ne 0 ]; then
    printf 'error: backup %s is not complete and counts as none; older backups are as they were; ' "$name" >&2
@OF_IT@  fi
}
trap ended EXIT
send() {
  rclone copyto --immutable "$1" "$remote/$1"
  sent=$(stat -c %s "$1")
  found=$(rclone lsf --format s "$remote/$1")
  if [ "$found" != "$sent" ]; then
    printf 'error: %s: found %s bytes in the bucket, expected %s\n' "$1" "$found" "$sent" >&2
    return 1
  fi
  if [ "$(rclone cat "$remote/$1" | sha256sum)" != "$(sha256sum <"$1")" ]; then
    printf 'error: %s: found other bytes in the bucket than were sent\n' "$1" >&2
    return 1
  fi
}
for part in dump roles.sql rows sha256; do
  send "$name.$part"
done
complete=yes
printf 'backup %s: uploaded, and read back\n' "$name"

before() {
  date -u -d "@$(($(date +%s) - $1 * 86400))" +%Y/%m/%d/%H%M%SZ
}
rclone lsf --fast-list --recursive --files-only "$remote" >/tmp/listed
grep -E "^@NAME@$BACKUP_DATABASE\.(dump|roles\.sql|rows|sha256)\$" /tmp/listed >/tmp/files
awk -v newest="$name" -v old="$(before "$BACKUP_RETENTION_DAYS")" -v abandoned="$(before 1)" '
  { stem = $0; sub(/[.](dump|roles[.]sql|rows|sha256)$/, "", stem); stems[stem] }
  /[.]sha256$/ { complete[stem]; if (stem > newest) newest = stem }
  END { for (stem in stems) if (stem != newest && stem < (stem in complete ? old : abandoned)) print stem }
' /tmp/files | sort >/tmp/old
while read -r stem; do
  for part in sha256 dump roles.sql rows; do
    if grep -qxF "$stem.$part" /tmp/files; then
      rclone deletefile "$remote/$stem.$part"
    fi
  done
  printf 'backup %s: removed\n' "$stem"
done </tmp/old
""",
    FOLDER=FOLDER,
    OF_IT=OF_IT,
    NAME=NAME,
)

# A prefix that is not there is an empty one, which rclone says with 3; a bucket that is not there is an error.
LIST = r"""set -eu
rclone lsf --max-depth 1 "backup:$BACKUP_BUCKET" >/dev/null
status=0
rclone lsjson --fast-list --recursive --files-only --no-mimetype "backup:$BACKUP_BUCKET/$BACKUP_PREFIX" \
  2>/tmp/said || status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne 3 ]; then
  cat /tmp/said >&2
  exit "$status"
fi
"""

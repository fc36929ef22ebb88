/** Runs what lies in /docker-entrypoint.d, then the command. */
export const NGINX_ENTRY = `#!/bin/sh
set -e
for script in /docker-entrypoint.d/*.sh; do
  if [ -x "$script" ]; then "$script"; fi
done
exec "$@"
`;

export const NODE_ENTRY = `#!/bin/sh
set -e
case "$1" in
  '' | -*) set -- node "$@" ;;
  *) if ! command -v "$1" > /dev/null; then set -- node "$@"; fi ;;
esac
exec "$@"
`;

/** The data folder belongs to redis, other hosts may connect without a password, as with the image it stands for. */
export const REDIS_ENTRY = `#!/bin/sh
set -e
case "$1" in
  '' | -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
  case " $* " in
    *' --protected-mode '*) ;;
    *) set -- "$@" --protected-mode no ;;
  esac
  if [ "$(id -u)" = 0 ]; then
    chown -R redis:redis .
    exec su -s /bin/sh -c 'exec "$0" "$@"' -- redis "$@"
  fi
fi
exec "$@"
`;

/**
 * POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_HOST_AUTH_METHOD, POSTGRES_INITDB_ARGS, PGDATA, the _FILE variants and
 * /docker-entrypoint-initdb.d mean what the documentation of the image it stands for says.
 */
export const POSTGRES_ENTRY = `#!/bin/sh
set -e
case "$1" in
  '' | -*) set -- postgres "$@" ;;
esac
if [ "$1" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  chown -R postgres:postgres "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA"
  exec su -s /bin/sh -c 'exec "$0" "$@"' -- postgres "$0" "$@"
fi

if [ -n "$POSTGRES_PASSWORD_FILE" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
if [ -n "$POSTGRES_USER_FILE" ]; then POSTGRES_USER=$(cat "$POSTGRES_USER_FILE"); fi
if [ -n "$POSTGRES_DB_FILE" ]; then POSTGRES_DB=$(cat "$POSTGRES_DB_FILE"); fi
user=\${POSTGRES_USER:-postgres}
db=\${POSTGRES_DB:-$user}
method=\${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
    echo 'Error: Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD' >&2
    exit 1
  fi
  secret=/tmp/secret
  (umask 077 && printf '%s\\n' "\${POSTGRES_PASSWORD:-none}" > "$secret")
  # shellcheck disable=SC2086 # several arguments are meant
  initdb --username="$user" --pwfile="$secret" --encoding=UTF8 --no-sync $POSTGRES_INITDB_ARGS
  rm "$secret"
  printf '\\nhost all all all %s\\n' "$method" >> "$PGDATA/pg_hba.conf"
  printf "listen_addresses = '*'\\n" >> "$PGDATA/postgresql.conf"
  PGUSER=$user pg_ctl --wait start --options="-c listen_addresses=''" --silent
  export PGPASSWORD="$POSTGRES_PASSWORD"
  if [ "$db" != postgres ]; then
    psql --quiet --username "$user" --dbname postgres --set db="$db" <<'SQL'
CREATE DATABASE :"db";
SQL
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) sh "$file" ;;
      *.sql) psql --quiet --set ON_ERROR_STOP=1 --username "$user" --dbname "$db" --file "$file" ;;
    esac
  done
  PGUSER=$user pg_ctl --wait stop --mode=fast --silent
  unset PGPASSWORD
  echo 'PostgreSQL init process complete; ready for start up.'
fi
exec "$@"
`;

/** Where the `apk` of the stand-in for alpine finds packages: one folder each, laid out like `/`. */
export const APK_PACKAGES = '/usr/lib/stand-in';

/** `apk add [--no-cache] PACKAGE…` for the packages that are there; everything else fails, as it would without a network. */
export const APK = `#!/bin/sh
set -eu
[ "\${1:-}" = add ] || { echo "apk: this stand-in can only add" >&2; exit 1; }
shift
for word; do
  case $word in -*) continue ;; esac
  [ -d "${APK_PACKAGES}/$word" ] || { echo "ERROR: unable to select packages: $word (no such package)" >&2; exit 1; }
  cd "${APK_PACKAGES}/$word"
  find . -type f | while read -r file; do
    mkdir -p "$(dirname "/$file")"
    ln -sf "${APK_PACKAGES}/$word/$file" "/$file"
  done
done
`;

#!/usr/bin/env bash
# Starts the server as the official image's entrypoint does, written anew: initialises an empty data directory with
# POSTGRES_*, runs /docker-entrypoint-initdb.d on a server that only its socket reaches, then becomes the server.
set -Eeuo pipefail

# A setting: NAME, else what stands in the file that NAME_FILE names, else the default.
setting() {
  local name=$1 file=${1}_FILE
  if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
    echo >&2 "error: both $name and $file are set (but are exclusive)"
    exit 1
  fi
  if [ -n "${!file:-}" ]; then
    printf -v "$name" '%s' "$(<"${!file}")"
  else
    printf -v "$name" '%s' "${!name:-${2:-}}"
  fi
  export "${name?}"
  unset "$file"
}

read_settings() {
  setting POSTGRES_PASSWORD
  setting POSTGRES_USER postgres
  setting POSTGRES_DB "$POSTGRES_USER"
  setting POSTGRES_INITDB_ARGS
  setting POSTGRES_HOST_AUTH_METHOD
}

own_directories() {
  mkdir -p "$PGDATA" /var/run/postgresql
  chmod 00700 "$PGDATA" || true
  chmod 03775 /var/run/postgresql || true
  [ "$(id -u)" != 0 ] || find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
}

refuse_without_a_password() {
  [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ] || return 0
  cat >&2 <<'MESSAGE'
Error: Database is uninitialized and superuser password is not specified.
       Set POSTGRES_PASSWORD to the password of the superuser, for example with "-e POSTGRES_PASSWORD=…",
       or POSTGRES_HOST_AUTH_METHOD=trust to let everyone in without one, which is not recommended.
MESSAGE
  exit 1
}

make_cluster() {
  local arguments=()
  eval "arguments=($POSTGRES_INITDB_ARGS)" # its quotes count
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${arguments[@]}"
  local method=$POSTGRES_HOST_AUTH_METHOD
  method=${method:-$(postgres -C password_encryption "$@")}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

sql() {
  psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" "$@"
}

make_database() {
  [ "$POSTGRES_DB" = postgres ] || sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
}

run_script() {
  if [ -x "$1" ]; then
    echo "$0: running $1"
    "$1"
  else
    echo "$0: sourcing $1"
    # shellcheck source=/dev/null
    . "$1"
  fi
}

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) run_script "$file" ;;
      *.sql) echo "$0: running $file"; sql --dbname "$POSTGRES_DB" -f "$file" ;;
      *.sql.gz) echo "$0: running $file"; gunzip -c "$file" | sql --dbname "$POSTGRES_DB" ;;
      */\*) ;;
      *) echo "$0: ignoring $file" ;;
    esac
  done
}

initialise() {
  refuse_without_a_password
  export PGPASSWORD=${PGPASSWORD-$POSTGRES_PASSWORD} PGHOST="" PGHOSTADDR=""
  make_cluster "$@"
  local options
  options=$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")
  pg_ctl --options="$options" --wait start
  make_database
  run_init_files
  pg_ctl --mode=fast --wait stop
  unset PGPASSWORD PGHOST PGHOSTADDR
  printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

only_asks() {
  local argument
  for argument; do
    case "$argument" in -'?' | --help | --describe-config | -V | --version | -C) return 0 ;; esac
  done
  return 1
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" = postgres ] && ! only_asks "$@"; then
  read_settings
  own_directories
  if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql "$0" "$@"
  fi
  if [ -s "$PGDATA/PG_VERSION" ]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
  else
    initialise "${@:2}"
  fi
fi
exec "$@"

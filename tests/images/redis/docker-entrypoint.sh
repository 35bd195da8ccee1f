#!/usr/bin/env bash
# Starts the server as the official image's entrypoint does, written anew: bare options and a .conf file go to
# redis-server, which runs as user redis and lets other hosts in (its build has protected mode off).
set -Eeuo pipefail

case "${1:-}" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "${1:-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
[ "$(umask)" != 0022 ] || umask 0077

protection_is_set() {
  case " $* " in *' --protected-mode '*) return 0 ;; esac
  [ -r "${2:-}" ] && grep -qiE '^[[:space:]]*protected-mode[[:space:]]' "$2"
}

only_asks() {
  case "${2:-}" in -h | --help | -v | --version | --test-memory | --check-system) return 0 ;; esac
  return 1
}

if [ "${1:-}" = redis-server ] && ! protection_is_set "$@" && ! only_asks "$@"; then
  set -- "$@" --protected-mode no
fi
exec "$@"

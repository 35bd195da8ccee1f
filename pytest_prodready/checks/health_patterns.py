"""How credentials, addresses, paths, errors and versions look in a text."""

from __future__ import annotations

import re

from pytest_prodready.checks.health_words import words

# Of these a version is news to an attacker; an application's own version isn't meant.
SOFTWARE = frozenset(
    words("""
    postgres postgresql psql mysql mariadb redis valkey nginx apache openresty caddy php python cpython
    pypy werkzeug gunicorn uvicorn hypercorn granian waitress tornado django flask fastapi starlette
    sqlalchemy psycopg psycopg2 asyncpg node nodejs express java jdk jvm openjdk tomcat jetty undertow
    spring go golang ruby rails puma dotnet kestrel openssl pgbouncer linux debian ubuntu alpine
    """)
)
PARTS = frozenset(words("database db cache runtime system os driver")) | SOFTWARE
VERSION_KEY = re.compile(r"(?i)(^|[_\-.])(version|ver)$|^(server|redis|pg|db|postgres)_?version")
VERSION = re.compile(r"\bv?\d+(\.\d+)+")
NAMED_VERSION = re.compile(
    rf"(?i)\b({'|'.join(sorted(SOFTWARE, key=len, reverse=True))})"
    r"(?:[ /\-]v?|\s+version\s+)(\d+(?:\.\d+)+|\d{2,}\b)|\bgo1\.\d+(\.\d+)?\b"
)

# A private address by itself tells something; a public one only with its port.
PRIVATE = re.compile(
    r"(?<![\d.])(?:127(?:\.\d{1,3}){3}|10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|169\.254(?:\.\d{1,3}){2}"
    r"|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})(?![\d.])(?::\d+)?"
)
BEFORE_A_VERSION = re.compile(r"(?i)(ver|version|release|build)\w*\W*v?$")
ADDRESS = re.compile(
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}:\d{2,5}\b|\blocalhost:\d{2,5}\b|\[[0-9a-f:]*:[0-9a-f:]*\]:\d{2,5}"
)
HOST_KEYS = frozenset(words("host hostname addr address dsn jdbcurl"))
HOST = re.compile(r"(?i)[a-z0-9][\w-]*(\.[\w-]+)*(:\d+)?")

CREDENTIAL = re.compile(r"(?i)\bpassword\s*[=:]\s*[^\s\"',}]+|://[^\s/:@\"']*:[^\s@\"']+@")
URL = re.compile(r"(?i)\b(?:jdbc:)?(?:postgres(?:ql)?(?:\+\w+)?|rediss?|mysql|mongodb|amqps?)://[^\s\"'<>]*")
INTERNAL_NAME = re.compile(
    r"(?i)\b[a-z0-9][\w-]*(?:\.[\w-]+)*\.(?:internal|local|svc|lan|corp|intranet"
    r"|(?:rds|cache|compute)[\w.-]*\.amazonaws\.com|(?:postgres\.)?database\.(?:azure\.com|windows\.net))\b(?::\d+)?"
)
FILE_PATH = re.compile(
    r"(?<![\w/.])/(?:usr|home|srv|opt|var|etc|root|tmp|proc|private|Users|app|workspace|code)/(?:[\w.@-]+/)*"
    r"(?:\.(?![\w.])"
    r"|[\w@-]*\.(?:py|js|ts|mjs|java|kt|go|rb|php|cs|ex|rs|crt|pem|key|sock|conf|so|jar|toml|ya?ml|json|env)\b)"
    r"|(?<![\w/.])/(?:usr|home|root|etc|proc)/[\w.@-]+(?:/[\w.@-]+)*"
    r"|\b[A-Z]:\\+(?:[\w. -]+\\+)+[\w. -]+"
)
TRACEBACK = re.compile(
    r"Traceback \(most recent call last\)|\bFile \\?\"[^\"]+\\?\", line \d+"
    r"|\bat [\w$.<>]+ ?\([^)\s]+:\d+(?::\d+)?\)|\bgoroutine \d+ \["
    r"|\b[\w/.-]+\.(?:py|js|ts|java|go|rb|php|cs|rs|ex):\d+\b"
)
ERROR_TEXT = re.compile(
    r"\bE(?:CONNREFUSED|TIMEDOUT|NOTFOUND|CONNRESET|HOSTUNREACH|NETUNREACH|PIPE|AI_AGAIN)\b"
    r"|\b(?:psycopg2?|asyncpg|sqlalchemy|redis|aiopg|pymysql|javax?|jakarta|org|com|io|Npgsql|StackExchange|System)"
    r"(?:\.\w+)*\.\w*(?:Error|Exception|Failure)\b|\b(?:[A-Z][a-z0-9]+|[A-Z]+(?=[A-Z]))+(?:Error|Exception)\b"
    r"|\bpsycopg2?\.errors\.\w+|\basyncpg\.exceptions\.\w+|\bsqlalchemy\.exc\.\w+"
    r"|\bSQLSTATE\b|\bconnection to server (?:at|on)\b|\bcould not connect to server\b|\bdial tcp\b"
    r"|\bpassword authentication failed\b|\bno pg_hba\.conf entry\b"
    r"|\bserver closed the connection unexpectedly\b|\bfailed to resolve host\b"
    r"|\bcould not translate host name\b|\b[Nn]ame or service not known\b"
    r"|\bFATAL:\s|\[?\bErrno -?\d+\b|\bQueuePool limit\b|\brole \\?\"[^\"]+\\?\" does not exist"
)
TEXTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a credential", CREDENTIAL),
    ("a connection URL", URL),
    ("a traceback", TRACEBACK),
    ("an error's text", ERROR_TEXT),
    ("an internal host name", INTERNAL_NAME),
    ("a file path", FILE_PATH),
)

TALKATIVE = frozenset(("server", "x-powered-by", "x-generator", "x-backend-server", "x-served-by"))
ASP_VERSION = re.compile(r"x-asp(net|netmvc)-version")
# The words of these come from the client, the clock or a cache, and not from the service's insides.
HARMLESS = frozenset(
    words("date content-type content-length etag last-modified traceparent location via alt-svc")
)

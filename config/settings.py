"""The project's settings, read from the environment, with safe defaults.

The defaults are the embedded shape: SQLite in ``var/``, the in-memory channel layer, ``DEBUG`` off.
"""

import hashlib
import math
import os
import re
import secrets
import socket
import sys
import zoneinfo
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from realtime.conf import Conf, conf_of
from realtime.runtime.early_script import early_script_hash

BASE_DIR = Path(__file__).resolve().parent.parent
# All files that the running project writes; git ignores the folder.
if BASE_DIR.parent.name == "releases" and not os.environ.get("VAR_DIR"):
    # A command without the service's environment would silently make and use a database of its own.
    raise ImproperlyConfigured(
        f"VAR_DIR is not set, and {BASE_DIR} is an installed release. Run commands as the service does, by "
        "`tidemark COMMAND` (docs/deploy.md); set VAR_DIR to a folder to run this release beside it"
    )
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var")
VAR_DIR.mkdir(parents=True, exist_ok=True)


def from_env(name: str, default: str = "") -> list[str]:
    """Return the comma-separated values of an environment variable, without blanks and empty ones."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


SWITCH = {
    "on": True,
    "yes": True,
    "true": True,
    "1": True,
    "off": False,
    "no": False,
    "false": False,
    "0": False,
}


def is_on(name: str) -> bool:
    """Return whether an environment variable is 1, true, yes or on.

    Raises: ImproperlyConfigured, if it is another word than those and their opposites: HTTPS must not be off unnoticed.
    """
    word = os.environ.get(name, "").strip()
    if word and word.lower() not in SWITCH:
        raise ImproperlyConfigured(f"{name} is {word!r}; write on or off")
    return SWITCH.get(word.lower(), False)


def kept_secret(path: Path) -> str:
    """Return the secret in ``path``; create it if missing, readable by its owner alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with open(descriptor, "w") as file:
        secret = secrets.token_urlsafe(50)
        file.write(secret)
    return secret


def role() -> str:
    """Return what this process is for: "server", "publisher", or the name of another command of manage.py."""
    program, *arguments = sys.argv or [""]
    if not arguments or Path(program).name not in ("manage.py", "django-admin"):
        return "server"
    command = arguments[0].removeprefix("realtime_")
    return {"runserver": "server", "publish": "publisher"}.get(command, command)


DEBUG = is_on("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret(VAR_DIR / "secret-key")
SECRET_KEY_FALLBACKS = from_env("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = from_env("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = from_env("CSRF_TRUSTED_ORIGINS")

SCRIPT_NAME = os.environ.get("SCRIPT_NAME", "")
"""Path under which a proxy publishes the site, such as ``/boards``; empty at the root of a host."""
if SCRIPT_NAME and not re.fullmatch(r"(/[\w.~-]+)+", SCRIPT_NAME, re.ASCII):
    raise ImproperlyConfigured(
        f"SCRIPT_NAME is {SCRIPT_NAME!r}; write the path with a slash in front and none at its end: /boards"
    )
FORCE_SCRIPT_NAME = SCRIPT_NAME or None

if is_on("HTTPS"):
    # A proxy in front of the server terminates TLS. It must overwrite this header (docs/deploy.md).
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # Each process has its own metrics, which are read from it directly, without the proxy and TLS.
    SECURE_REDIRECT_EXEMPT = [rf"^{SCRIPT_NAME.lstrip('/')}/?realtime/metrics/$"]
    try:
        SECURE_HSTS_SECONDS = int(os.environ.get("HSTS_SECONDS") or 30 * 24 * 3600)
        if SECURE_HSTS_SECONDS < 0:
            raise ValueError("not an amount")
    except ValueError as error:
        raise ImproperlyConfigured("HSTS_SECONDS is a whole number, such as 31536000 for a year") from error
    # includeSubDomains and preload bind all subdomains, preload in lists that browsers ship: only the owner of
    # the domain can decide that, because other hosts may have no TLS. The checks that ask for them are silenced.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    # Browsers accept cookies with this prefix from this host over TLS only: no subdomain can set one.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"

INSTALLED_APPS = [
    "daphne",  # first: it must install Twisted's asyncio reactor before anything imports another
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "realtime",
    "realtime.boards",
]

MIDDLEWARE = [
    # First those that change every response, including static files and the refusals of those below.
    "django.middleware.security.SecurityMiddleware",
    "config.policy.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.static_files.StaticFilesMiddleware",
    "realtime.middleware.LiveBlocksMiddleware",
    "realtime.middleware.PrivatePagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.languages.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "realtime.middleware.PasswordAttemptsMiddleware",
]

AUTHENTICATION_BACKENDS = [
    "realtime.backends.PasswordAttemptsBackend",  # first: it ends a sign-in before a password is checked
    "django.contrib.auth.backends.ModelBackend",
    "realtime.boards.sharing.links.LinkBackend",  # the guests of secret links
]

# A page may load and run its own files only, nothing inline. docs/feeds.md lists what templates must observe.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, early_script_hash()],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],  # includes WebSockets in every browser that can run the page client
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
        # Only realtime/elements/html.js makes elements of text; the browser refuses it anywhere else.
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["realtime"],
    }
}

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASE_URL = os.environ.get("DATABASE_URL", "")
try:
    if DATABASE_URL and not DATABASE_URL.startswith(("postgres://", "postgresql://", "sqlite://")):
        raise ValueError("another database")
    if urlsplit(DATABASE_URL).fragment or urlsplit(DATABASE_URL).netloc.count("@") > 1:
        raise ValueError("a part of the password would be taken for something else")
    DATABASES: dict[str, Any] = {
        "default": dj_database_url.parse(DATABASE_URL, conn_health_checks=True)
        if DATABASE_URL
        else {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR_DIR / "db.sqlite3"}
    }
except ValueError as error:
    raise ImproperlyConfigured(
        "DATABASE_URL cannot be used; write postgresql://user:password@host:5432/name, with special characters "
        "of the password as %40 and the like, or leave it out for SQLite"
    ) from error
DATABASE_OPTIONS: dict[str, dict[str, object]] = {
    "django.db.backends.sqlite3": {
        # A deferred transaction that reads and then writes fails at once if another process has committed
        # in between, whatever the timeout; an immediate one waits for its turn.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
    "django.db.backends.postgresql": {
        # What pg_stat_activity and the server's log show beside each of our connections.
        "application_name": f"tidemark {role()}",
        # An endless query delays only its own page; a forgotten transaction delays vacuum, and with it
        # the whole database.
        "options": "-c statement_timeout=30s -c idle_in_transaction_session_timeout=60s",
    },
}
if is_on("PGBOUNCER"):
    # A pooler in transaction mode refuses startup options, and gives each transaction another connection: roles set
    # the limits (docs/deploy.md), and no cursor outlives its transaction.
    del DATABASE_OPTIONS["django.db.backends.postgresql"]["options"]
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
# Options in DATABASE_URL have priority: ?options=-c%20statement_timeout%3D5s
DATABASES["default"]["OPTIONS"] = {
    **DATABASE_OPTIONS.get(DATABASES["default"]["ENGINE"], {}),
    **DATABASES["default"].get("OPTIONS", {}),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # The project reads in threads, and an in-memory test database allows no second connection.
    DATABASES["default"]["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URLS = from_env("REDIS_URL")
"""The addresses of one or several servers; the channel layer distributes its groups over them."""
for address in REDIS_URLS:
    try:
        if urlsplit(address).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("another protocol")
        _ = urlsplit(address).port
    except ValueError as error:
        raise ImproperlyConfigured(
            f"REDIS_URL holds {address.rpartition('@')[2]!r}; write redis://host:6379/0, rediss://… for TLS, or "
            "unix:///run/valkey.sock; separate several addresses by commas"
        ) from error
REDIS_PREFIX = (
    os.environ.get("REDIS_PREFIX") or hashlib.blake2s(SECRET_KEY.encode(), digest_size=6).hexdigest()
)
"""The same in all processes of a deployment, another in each deployment that shares the Redis server."""


def redis_host(address: str) -> dict[str, object]:
    """Return the arguments of redis-py for a server, with time-outs that detect one that has vanished."""
    host: dict[str, object] = {
        "address": address,
        "socket_connect_timeout": 3,
        "socket_timeout": 5,
        "health_check_interval": 15,
    }
    if not address.startswith("unix:"):
        keepalive = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
        host |= {"socket_keepalive": True, "socket_keepalive_options": keepalive}
    return host


CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [redis_host(address) for address in REDIS_URLS], "prefix": REDIS_PREFIX},
    }
    if REDIS_URLS
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}


def given(name: str, kind: type) -> object:
    """Return an environment variable as a word, a number or a switch: the type of a field of ``Conf``."""
    text = os.environ[name]
    try:
        if kind is bool:
            return SWITCH[text.lower()]
        value = kind(text)
        if kind is not str and not 0 <= value < math.inf:
            raise ValueError("not an amount")
    except (KeyError, ValueError) as error:
        kinds = {bool: "on or off", int: "a whole number, 0 or more", float: "a number, 0 or more"}
        raise ImproperlyConfigured(f"{name} is {text!r}; write {kinds[kind]}") from error
    return value


REALTIME = {
    # The boards are public: programs such as curl and wscat may read them as browsers do.
    "ALLOW_WITHOUT_ORIGIN": True,
    # This project has no second factor that a ticket for a password would bypass.
    "TICKETS_FOR_PASSWORDS": True,
} | {
    name.upper(): given(name.upper(), kind)
    for name, kind in get_type_hints(Conf).items()
    if name != "database" and os.environ.get(name.upper())
}
"""The settings that operators set by the environment, under the names of docs/operations.md."""
conf_of(REALTIME)  # so that a value that cannot be used stops a server and every command

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

BOARDS_HISTORY_DAYS = given("BOARDS_HISTORY_DAYS", int) if os.environ.get("BOARDS_HISTORY_DAYS") else 30
"""How many days the history of the boards is kept; 0 for no history."""

BOARDS_WALL_COPIES = not os.environ.get("BOARDS_WALL_COPIES") or is_on("BOARDS_WALL_COPIES")
"""Whether browsers that show a wall keep a copy of public boards, which they show while there is no network."""
BOARDS_SILENT_MINUTES: Any = (
    given("BOARDS_SILENT_MINUTES", int) if os.environ.get("BOARDS_SILENT_MINUTES") else 5
)
"""After how many minutes without a sign of life a screen is reported."""
BOARDS_ALERT_WEBHOOK = os.environ.get("BOARDS_ALERT_WEBHOOK", "")
"""The address that receives a message when a screen is reported, and when it returns."""
if BOARDS_ALERT_WEBHOOK and not re.match(r"https?://[^/\s]+", BOARDS_ALERT_WEBHOOK):
    raise ImproperlyConfigured("BOARDS_ALERT_WEBHOOK is not an address; write https://host/path")

BOARDS_ALERT_MAIL = from_env("BOARDS_ALERT_MAIL")
"""The mail addresses that receive the same messages."""
for address in BOARDS_ALERT_MAIL:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise ImproperlyConfigured(
            f"BOARDS_ALERT_MAIL holds {address!r}; write name@host, separated by commas"
        )
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT: Any = given("EMAIL_PORT", int) if os.environ.get("EMAIL_PORT") else 25
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_SSL, EMAIL_USE_TLS = EMAIL_PORT == 465, EMAIL_PORT == 587
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "webmaster@localhost")

LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
LANGUAGE_CODE = os.environ.get("LANGUAGE_CODE") or "en-gb"
"""The language of rows, the same for all readers, and of pages for browsers that prefer no other supported one."""
if LANGUAGE_CODE not in dict(LANGUAGES):
    raise ImproperlyConfigured(
        f"LANGUAGE_CODE is {LANGUAGE_CODE!r}; write one of {', '.join(dict(LANGUAGES))}"
    )
# Visitors choose for a year; no script needs the cookie.
LANGUAGE_COOKIE_AGE, LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SAMESITE = 365 * 24 * 3600, True, "Lax"
TIME_ZONE = os.environ.get("TIME_ZONE") or "UTC"
try:
    zoneinfo.ZoneInfo(TIME_ZONE)
except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
    raise ImproperlyConfigured(
        f"TIME_ZONE is {TIME_ZONE!r}; write a name such as Europe/Oslo or Asia/Tokyo"
    ) from error
USE_TZ = True

# Absolute, because Django prefixes a relative one with the script name, which a client of daphne can set.
STATIC_URL = f"{SCRIPT_NAME}/static/"
# By default served from the apps, even if DEBUG is off: the first start needs no collectstatic.
# A relative folder belongs to this release: an older one that still runs keeps its own.
STATIC_ROOT = BASE_DIR / os.environ["STATIC_ROOT"] if os.environ.get("STATIC_ROOT") else None
SERVESTATIC_USE_FINDERS = STATIC_ROOT is None
if STATIC_ROOT:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "config.static_files.HashedStaticFilesStorage"},
    }
SERVESTATIC_AUTOREFRESH = DEBUG

LOG_LEVEL = (os.environ.get("LOG_LEVEL") or "INFO").upper()
if LOG_LEVEL not in (LEVELS := ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")):
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}; write one of {', '.join(LEVELS)}")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "realtime.log_filters.Lines",
            "fmt": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
    },
    "filters": {
        "clients_faults": {"()": "realtime.log_filters.ClientsFaults"},
        "few_of_a_kind": {"()": "realtime.log_filters.FewOfAKind"},
        "database_faults": {"()": "realtime.log_filters.DatabaseFaults"},
        "first_of_a_series": {"()": "realtime.log_filters.FirstOfASeries"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["clients_faults", "few_of_a_kind", "database_faults"],
        },
    },
    # One handler for all loggers, also of servers and libraries: every line that a client can cause is filtered.
    "root": {"handlers": ["console"]},
    "loggers": {
        "realtime": {"level": LOG_LEVEL},
        # Replaces the handlers that the library would install.
        "django": {"level": "INFO"},
        "uvicorn.error": {"handlers": ["console"], "propagate": False},
        # Retried for as long as Redis is away: only the first failure of a series is logged.
        "realtime.layer": {"filters": ["first_of_a_series"]},
        "channels_redis.pubsub": {"filters": ["first_of_a_series"]},
    },
}

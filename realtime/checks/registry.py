"""All system checks: configurations that cost security, changes or speed, each with a hint.

Errors block ``migrate``, so problems that it solves are warnings. docs/operations.md has a table of all checks.
"""

from collections.abc import Callable

from django.core.checks import CheckMessage

from .conf import check_conf
from .database import check_database
from .feeds import check_feeds, check_handlers, check_names, check_order_keys, check_templates
from .layer import check_backend, check_layer, check_redis
from .security import check_hosts, check_passwords, check_sessions, check_trusted_origins
from .servers import check_daphne, check_open_files
from .static_files import check_static_files, check_urls
from .tables import check_capture
from .versions import check_versions
from .wiring import WIRING

Check = Callable[..., list[CheckMessage]]

ALWAYS: list[Check] = [
    check_conf,
    check_feeds,
    check_names,
    check_templates,
    check_order_keys,
    check_handlers,
    check_trusted_origins,
    check_versions,
    check_backend,
    check_redis,
    check_daphne,
    check_database,
    check_sessions,
    check_open_files,
    *WIRING,
]
"""The checks of every command."""
FOR_DEPLOYMENTS: list[Check] = [check_layer, check_hosts, check_static_files, check_urls, check_passwords]
"""The checks of ``manage.py check --deploy``."""
WITH_DATABASE: list[Check] = [check_capture]
"""The checks of ``manage.py check --database …``, which query it."""

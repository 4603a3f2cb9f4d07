#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, OperationalError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # An operator can correct this, and what follows, without a traceback; --traceback shows it.
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"The settings: {error}")
    except DatabaseError as error:
        from realtime.databases.remedies import remedy

        advice = remedy(error)
        if "--traceback" in sys.argv or not (advice or isinstance(error, OperationalError)):
            raise
        words = str(error).strip().partition("\n")[0]
        sys.exit(f"The database: {words}; {advice or 'run `manage.py doctor`'}")

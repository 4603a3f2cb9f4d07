#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, OperationalError) as error:
        # An operator can correct these without a traceback; --traceback shows it.
        if "--traceback" in sys.argv:
            raise
        cause = "The database does not answer" if isinstance(error, OperationalError) else "The settings"
        sys.exit(f"{cause}: {error}")

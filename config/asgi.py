"""The application that an ASGI server runs: ``daphne config.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

import realtime.asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = realtime.asgi.application(get_asgi_application())

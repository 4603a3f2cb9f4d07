"""Compression of pages that contain no secret: the compressed size could disclose one (the attack named BREACH)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


def compressed(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Return a view that compresses answers to visitors without cookies, unless a form in them has a token."""

    @wraps(view)
    def compressing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        has_secret = request.COOKIES or "CSRF_COOKIE" in request.META  # set by rendering a token, too
        return response if has_secret else gzip.process_response(request, response)

    gzip = GZipMiddleware(view)
    return compressing

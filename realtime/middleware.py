"""Middleware that keeps pages which depend on their visitor out of shared caches."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import has_vary_header, patch_cache_control
from django.utils.deprecation import MiddlewareMixin

__all__ = ["PrivatePagesMiddleware"]


class PrivatePagesMiddleware(MiddlewareMixin):
    """Marks responses that vary with cookies as private, unless their view sets ``Cache-Control`` itself.

    List it before ``SessionMiddleware``, which adds ``Vary: Cookie`` if the session was accessed; the tags of
    ``{% load realtime %}`` access it. Not ``no-store``, which would disable the browser's back/forward cache.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        return response

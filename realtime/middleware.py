"""Keeps pages that depend on who asks out of caches from which others are answered."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import has_vary_header, patch_cache_control
from django.utils.deprecation import MiddlewareMixin


class PrivatePagesMiddleware(MiddlewareMixin):
    """Marks what varies with the visitor's cookies as the visitor's own, unless its view speaks of caching itself.

    Before ``SessionMiddleware``, which knows whether the session was looked at; the tags of ``{% load realtime %}`` do.
    Not ``no-store``: it would keep pages out of the back/forward cache, from which they come back at once.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        return response

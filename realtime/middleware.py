"""Middleware: for pages that depend on their visitor, for refused sign-ins, and for pages with live blocks."""

from django.core.exceptions import NON_FIELD_ERRORS
from django.db import Error as DatabaseError
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils.cache import has_vary_header, patch_cache_control
from django.utils.deprecation import MiddlewareMixin

from .publishing.positions import probe

__all__ = ["LiveBlocksMiddleware", "PasswordAttemptsMiddleware", "PrivatePagesMiddleware"]


class LiveBlocksMiddleware(MiddlewareMixin):
    """Notes the position of the database before anything is read for a page; ``{% live_block %}`` renders it.

    List it before all middleware that reads the database. It costs each page one query, once a block has been rendered
    in the process. Without it each page with a block is fetched a second time when it is live.
    """

    is_needed = False

    def process_request(self, request: HttpRequest) -> None:
        if not self.is_needed or request.method != "GET" or not request.accepts("text/html"):
            return
        try:
            position = probe()
        except DatabaseError:
            return
        if position.epoch:
            request.realtime_position = f"{position.epoch}.{position.offset}"  # type: ignore[attr-defined]


class PrivatePagesMiddleware(MiddlewareMixin):
    """Marks responses that vary with cookies as private, unless their view sets ``Cache-Control`` itself.

    List it before ``SessionMiddleware``, which adds ``Vary: Cookie`` if the session was accessed; the tags of
    ``{% load realtime %}`` access it. Not ``no-store``, which would disable the browser's back/forward cache.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        return response


class PasswordAttemptsMiddleware(MiddlewareMixin):
    """Answers a sign-in that ``PasswordAttemptsBackend`` has refused with 429; its page says how long to wait."""

    def process_template_response(
        self, request: HttpRequest, response: SimpleTemplateResponse
    ) -> SimpleTemplateResponse:
        """Replace the form's error: the password may be right."""
        refusal, form = (
            getattr(request, "too_many_passwords", None),
            (response.context_data or {}).get("form"),
        )
        if refusal is not None and isinstance(form, BaseForm):
            form.errors[NON_FIELD_ERRORS] = form.error_class([str(refusal)], renderer=form.renderer)
        return response

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        refusal = getattr(request, "too_many_passwords", None)
        if refusal is not None:
            response.status_code = 429
            response["Retry-After"] = str(refusal.seconds)
        return response

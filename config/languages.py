"""The language of a page: the visitor's choice, or else one of the browser's languages."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils.cache import patch_vary_headers


class LanguageMiddleware(LocaleMiddleware):
    """Django's middleware, whose pages also say that they depend on the cookie of the choice.

    Without that a cache could show one visitor's language to another one. A response that names its own language, as
    walls do, and one that is neither a page nor an error depend on no visitor's, and are left as they are.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        is_translated = kind in ("text/html", "text/javascript") or response.status_code >= 400
        if not is_translated or response.has_header("Content-Language"):
            return response
        patch_vary_headers(response, ["Cookie"])
        return super().process_response(request, response)

"""The Content-Security-Policy header of every response of Django, as ``settings.CONTENT_SECURITY_POLICY`` has it."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Adds the header; for the admin without Trusted Types, because its jQuery makes elements of text."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.resolver_match and "admin" in request.resolver_match.app_names:
            parts.replace = {"require-trusted-types-for": None, "trusted-types": None} | (parts.replace or {})
        return parts

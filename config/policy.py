"""The Content-Security-Policy of every answer that Django gives; ``settings.CONTENT_SECURITY_POLICY`` says it."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Sends the policy; the admin's goes without Trusted Types, as its jQuery turns text into elements all over."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.resolver_match and "admin" in request.resolver_match.app_names:
            parts.replace = {"require-trusted-types-for": None, "trusted-types": None} | (parts.replace or {})
        return parts

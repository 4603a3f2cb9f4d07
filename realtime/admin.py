"""The admin's page for operators: reports of server processes, and instructions to them.

For staff with the permission ``realtime.operate``; addresses and users are for superusers. It needs neither the
publisher nor JavaScript: everything in it comes from the database.
"""

from importlib import import_module
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.sessions.backends import signed_cookies
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .engine.errors import RealtimeError
from .feeds import registry
from .management import diagnostics
from .management.commands import doctor
from .models import Instruction, ProcessReport
from .operators import instructions, overview
from .operators.live import may_operate

__all__ = ["ServerProcessAdmin"]

Kind = Instruction.Kind
DONE = {
    Kind.CLOSE: _("Connections are closed"),
    Kind.RELOAD: _("Pages are reloaded"),
    Kind.SIGN_OUT: _("The sessions and connections of the user are ended"),
    Kind.READ: _("The topic is read anew"),
}
ASKED = _("each process carries this out within seconds.")
SIGNED_COOKIES = _(
    "The connections of the user are ended, but the session is in a signed cookie, which stays valid: "
    "deactivate the user, or set another password."
)
APART = {diagnostics.application}
"""Diagnostics that are left out here: the page itself shows that the application answers."""


class InstructionForm(forms.Form):
    """An instruction of an operator."""

    kind = forms.ChoiceField(choices=[(kind.value, kind.label) for kind in DONE])
    process = forms.CharField(max_length=64, required=False)
    target = forms.CharField(max_length=200, required=False)
    is_confirmed = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind, target = cleaned.get("kind"), cleaned.get("target", "")
        if kind == Kind.READ:
            try:
                registry.find(target)
            except RealtimeError as error:
                raise forms.ValidationError(str(error)) from error
        if kind == Kind.SIGN_OUT and not target:
            raise forms.ValidationError(_("Name the user whose connections are to be ended."))
        if kind == Kind.SIGN_OUT and not overview.names_of([target]):
            raise forms.ValidationError(_("There is no such user."))
        process = cleaned.get("process")
        if process and process not in {each.name for each in overview.read().processes}:
            raise forms.ValidationError(
                gettext("The process {process} is no longer running; look for the connection again.").format(
                    process=process
                )
            )
        if kind in (Kind.CLOSE, Kind.RELOAD) and target and not cleaned.get("process"):
            raise forms.ValidationError(
                _("The name of a connection is unique only in its process: name the process, too.")
            )
        return cleaned

    @property
    def concerns_many(self) -> bool:
        """Whether it is carried out only after a confirmation."""
        data = self.cleaned_data
        return data["kind"] == Kind.SIGN_OUT or (data["kind"] != Kind.READ and not data["target"])


@admin.register(ProcessReport)
class ServerProcessAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows one page instead of a list and its forms."""

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "realtime_processreport"
        return [
            path("", view(self.page), name=f"{name}_changelist"),
            path("instruct/", view(self.instruct), name=f"{name}_instruct"),
            path("doctor/", view(self.doctor), name=f"{name}_doctor"),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_operate(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_operate(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def page(self, request: HttpRequest) -> HttpResponse:
        """Show the reports of all processes, and ask them to go on reporting."""
        self._require_operator(request)
        try:
            instructions.watch()
        except DatabaseError as error:
            messages.warning(
                request,
                gettext("The database accepts no writes, so processes report nothing new: {error}").format(
                    error=error
                ),
            )
        found = overview.read()
        context: dict[str, Any] = {
            "overview": found,
            "is_superuser": _is_superuser(request),
            "topics": found.followers_of_feeds,
        }
        if context["is_superuser"]:
            names = overview.names_of(
                {key for key, _ in found.users}
                | {one.reader.user for one in found.readers if one.reader.user}
            )
            context |= {
                "topics": found.followers,
                "addresses": found.addresses,
                "users": [(key, names.get(key, key), number) for key, number in found.users],
                "names": names,
            }
        readers = [(each, context.get("names", {}).get(each.reader.user, "")) for each in found.readers]
        return self._response(request, "page", gettext("Server processes"), {**context, "readers": readers})

    def instruct(self, request: HttpRequest) -> HttpResponse:
        """Give an instruction; one that concerns many connections only after a confirmation."""
        self._require_operator(request)
        form = InstructionForm(request.POST)
        if request.method != "POST":
            return redirect(self._address)
        if not form.is_valid():
            for errors in form.errors.values():
                messages.error(request, " ".join(map(str, errors)))
            return redirect(self._address)
        kind, process, target = (form.cleaned_data[name] for name in ("kind", "process", "target"))
        if kind == Kind.SIGN_OUT and not _is_superuser(request):
            raise PermissionDenied("only superusers may sign a user out")
        what = described(kind, process, target)
        if form.concerns_many and not form.cleaned_data["is_confirmed"]:
            context = {"what": what, "form": form, "connections": overview.read().connections}
            return self._response(request, "confirm", gettext("Are you sure?"), context)
        instructions.give(Kind(kind), process, target)
        self.log_change(request, ProcessReport(name=process or gettext("all processes")), what)
        if kind == Kind.SIGN_OUT and _are_sessions_cookies():
            messages.warning(request, SIGNED_COOKIES)
        else:
            messages.success(request, f"{DONE[Kind(kind)]}: {ASKED}")
        return redirect(self._address)

    def doctor(self, request: HttpRequest) -> HttpResponse:
        """Run the diagnostics of ``manage.py doctor``, and show their findings."""
        self._require_operator(request)
        if request.method != "POST":
            return redirect(self._address)
        found = doctor.findings([each for each in doctor.DIAGNOSTICS if each not in APART])
        return self._response(request, "doctor", gettext("Doctor"), {"findings": found})

    def _require_operator(self, request: HttpRequest) -> None:
        if not may_operate(request.user):
            raise PermissionDenied("the page of operators requires the permission realtime.operate")

    @property
    def _address(self) -> str:
        return reverse(f"{self.admin_site.name}:realtime_processreport_changelist")

    def _response(
        self, request: HttpRequest, template: str, title: str, context: dict[str, Any]
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        every = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        return TemplateResponse(request, f"realtime/operators/{template}.html", {**every, **context})


def described(kind: str, process: str, target: str) -> str:
    """Return a description of an instruction, for the confirmation page and for the log of the admin."""
    where = gettext("of {process}").format(process=process) if process else gettext("of all processes")
    match kind:
        case Kind.CLOSE | Kind.RELOAD:
            which = gettext("connection {name}").format(name=target) if target else gettext("all connections")
            what = (
                gettext("Reload the page behind {which} {where}")
                if kind == Kind.RELOAD
                else gettext("Close {which} {where}")
            )
            return what.format(which=which, where=where)
        case Kind.SIGN_OUT:
            name = overview.names_of([target]).get(target, target)
            return gettext("End the sessions and connections of {name}").format(name=name)
    return gettext("Read the topic {topic} anew").format(topic=target)


def _are_sessions_cookies() -> bool:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return issubclass(store, signed_cookies.SessionStore)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))

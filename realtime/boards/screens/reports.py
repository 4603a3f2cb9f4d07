"""The reports of a screen's page: its size and its build, for the list at the desk."""

from typing import Any

from django import forms

from realtime.actions import action, everyone

from .models import Screen


class ReportForm(forms.Form):
    """``screen`` is the secret of the screen's topic: it has no other identity on a connection."""

    screen = forms.RegexField("^[0-9a-f]{32}$")
    size = forms.RegexField(r"^\d{1,5}x\d{1,5}$")
    version = forms.RegexField("^[0-9a-f]{0,20}$", required=False)


@action("screens.report", form=ReportForm, permission=everyone)
def report(user: Any, data: dict[str, Any]) -> dict[str, bool]:
    """Store changes; return whether there were any."""
    reported = {name: data[name] for name in ("size", "version")}
    screen = Screen.objects.filter(topic=data["screen"]).exclude(name="").first()
    if screen is None or all(getattr(screen, name) == text for name, text in reported.items()):
        return {"changed": False}
    Screen.objects.filter(pk=screen.pk).update(**reported)
    return {"changed": True}

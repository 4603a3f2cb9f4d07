"""The language of a board: of its dates, its headings and the standard statuses, for all who see it."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


class LanguageField(forms.TypedChoiceField):
    """A choice among the languages of the site, each by its own name."""

    widget = forms.Select

    def __init__(self, *, max_length: int | None = None, **options: Any) -> None:
        super().__init__(choices=[("", _("The server's")), *settings.LANGUAGES], **options)


def validate_language(name: str) -> None:
    """Raise ValidationError if the site has no such language."""
    if name not in dict(settings.LANGUAGES):
        raise ValidationError(
            _("There is no language “%(name)s” here; choose one of the list."), params={"name": name}
        )


def language_named(name: str) -> str:
    """Return the language of this name; the server's, if it is blank or not one of the site: SQL can write any."""
    return name if name in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE

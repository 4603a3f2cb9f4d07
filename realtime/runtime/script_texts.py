"""The translations of the texts of scripts: the domain ``djangojs`` of an app."""

from functools import cache
from gettext import GNUTranslations, translation

from django.apps import apps
from django.utils.translation import to_locale


@cache
def script_texts(app: str, language: str) -> dict[str, str]:
    """Return the texts of an app's scripts in a language, by the English ones; nothing, if there are none."""
    locale = to_locale(language)
    folder = f"{apps.get_app_config(app).path}/locale"
    found = translation("djangojs", folder, [locale, locale.partition("_")[0]], fallback=True)
    catalog = found._catalog if isinstance(found, GNUTranslations) else {}  # type: ignore[attr-defined]
    return {english: text for english, text in catalog.items() if english}

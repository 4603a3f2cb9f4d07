"""The translations are complete, and their files belong to the source."""

import re

import pytest

from .messages import DOMAINS, LANGUAGES, compiled, messages_of_template, written

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w*\}|%[a-z](?![a-z])")
EACH = [(domain, language) for domain in DOMAINS for language in LANGUAGES]
IDS = [f"{domain.app.name}-{domain.name}-{language}" for domain, language in EACH]


@pytest.mark.parametrize("domain, language", EACH, ids=IDS)
def test_every_marked_text_is_translated_with_the_same_placeholders(domain, language):
    """Run `make messages`, then translate what it lists."""
    catalog = domain.read(language)
    wrong = []
    for message in domain.extracted():
        texts = [message.id] if isinstance(message.id, str) else [*message.id]
        if not texts[0]:
            continue
        found = catalog.get(message.id, message.context)
        translated = (
            [] if found is None else [found.string] if isinstance(found.string, str) else found.string
        )
        wanted = {*PLACEHOLDER.findall(texts[-1])}
        if not translated or not all(translated) or {*PLACEHOLDER.findall(translated[-1])} != wanted:
            wrong.append(message.id)

    assert wrong == []


@pytest.mark.parametrize("domain, language", EACH, ids=IDS)
def test_the_files_are_those_of_the_source(domain, language):
    """`make messages` has nothing to do: no text that is gone, and no .mo file older than its .po file."""
    path = domain.path(language)

    assert path.read_bytes() == written(domain.renewed(language))
    assert path.with_suffix(".mo").read_bytes() == compiled(domain.read(language))


def test_texts_of_a_template_are_found_as_django_reads_it():
    source = """{% load i18n %}{% translate "It's" %} {% translate 'a' context "b" %} {% include "x" with y=_("c") %}
    {% blocktranslate trimmed with n=m %} One {{ n }}
    line {% endblocktranslate %}{% blocktranslate count n=m %}one{% plural %}{{ n }}{% endblocktranslate %}"""

    assert [*messages_of_template(source)] == [
        (None, "It's"),
        ("b", "a"),
        (None, "c"),
        (None, "One %(n)s line"),
        (None, ("one", "%(n)s")),
    ]

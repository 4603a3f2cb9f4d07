"""The translations are complete, and their files belong to the source."""

import re
from html.parser import HTMLParser

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo

from .messages import DOMAINS, LANGUAGES, messages_of_template

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
    kept = domain.read(language)
    with domain.path(language).with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)

    assert texts_of(kept) == texts_of(domain.renewed(language))
    assert texts_of(compiled) == texts_of(kept)
    assert compiled.plural_expr == kept.plural_expr


def texts_of(catalog: Catalog) -> dict:
    """Return the texts of a catalogue, by what they translate."""
    return {("".join(message.id), message.context): [*message.string] for message in catalog if message.id}


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


TEMPLATES = sorted(
    path for domain in DOMAINS if domain.name == "django" for path in domain.files if path.suffix == ".html"
)
SCRIPTS = sorted(path for domain in DOMAINS if domain.name == "djangojs" for path in domain.files)
VISIBLE = ("alt", "aria-label", "aria_label", "content", "label", "placeholder", "title", "words")
"""Attributes whose text is shown or read aloud."""
UNTRANSLATED = re.compile(
    r"Tidemark|CSV|TSV|Excel|RSS|Atom|JSON Feed|entries\.7|Wall|light dark|noindex(, nofollow)?"
    r"|width=device-width, initial-scale=1"
)
"""Names, and syntax that browsers read."""
WORD = re.compile(r"[A-Za-z]{2,}")
MARKED = re.compile(r"{%\s*blocktrans.*?{%\s*endblocktrans\w*\s*%}", re.DOTALL)


class Texts(HTMLParser):
    """Collects the texts of a template, from which Django's tags have been removed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("code", "script", "style"):
            self.within.append(tag)
        self.found += [value or "" for name, value in attrs if name in VISIBLE]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            self.within.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self.within:
            self.found.append(data)


def unmarked(template: str) -> list[str]:
    """Return the visible texts of a template that are not marked for translation."""
    source = re.sub(r"{#.*?#}", "", MARKED.sub("", template), flags=re.DOTALL)
    parser = Texts()
    parser.feed(re.sub(r"{%.*?%}|{{.*?}}", " ", source, flags=re.DOTALL))
    texts = [" ".join(text.split()) for text in parser.found]
    return [text for text in texts if WORD.search(UNTRANSLATED.sub("", text))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_visible_text_of_a_template_is_left_unmarked(path):
    assert unmarked(path.read_text()) == []


@pytest.mark.parametrize(
    "template, found",
    [
        ("<p>Words</p>", ["Words"]),
        ('<input placeholder="Your name">', ["Your name"]),
        ('{% translate "Words" %} <b>more</b>', ["more"]),
        ("{% blocktranslate trimmed %}Words {{ n }}{% endblocktranslate %}", []),
        ("{# a comment #}{{ value }} · {% if x %}{% endif %}", []),
        ("<code>manage.py publish</code>", []),
    ],
)
def test_the_search_finds_what_is_visible(template, found):
    assert unmarked(template) == found


SINKS = re.compile(
    r"""(?:textContent = |replaceChildren\(|aria-label"[:,] |\bsay\(|\bbutton\(|placeholder: |title: )"""
    r"""("[^"]*"|`(?:[^`$]|\$\{[^}]*\})*`)"""
)
"""Where scripts put a text on the page."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_visible_text_of_a_script_is_left_unmarked(path):
    literals = [re.sub(r"\$\{.*\}", "", text[1:-1]) for text in SINKS.findall(path.read_text())]

    assert [text for text in literals if WORD.search(text) and text != "Ctrl+Z"] == []

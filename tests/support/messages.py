"""The catalogues of translated texts: what the source marks, what each language has, and the files that hold it.

``python -m tests.support.messages`` (``make messages``) brings the .po files up to date with the source, and makes the
.mo files of them, which are committed too: a machine that installs the project needs no GNU gettext.
"""

import ast
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation import templatize

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("de",)
"""The languages beside English, in which the source is written."""
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
}
SCRIPT_KEYWORDS: dict[str, Any] = {"text": None}
"""The function of realtime/texts.js."""
CALL = re.compile(
    r"\b(gettext|pgettext|ngettext|_)\(((?:\s*u?(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")\s*,?)+)"
)
"""A call in the text that Django makes of a template for xgettext; ``count`` follows the texts of a plural."""
Message = tuple[str | None, str | tuple[str, ...]]
"""A context, and a text or the texts of a plural."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The texts of one app, of the server (``django``) or of its scripts (``djangojs``)."""

    app: Path
    name: str
    sources: tuple[Path, ...]
    excluded: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The files that may have marked texts."""
        endings = (".js",) if self.name == "djangojs" else (".py", ".html")
        found = {path for source in self.sources for path in source.rglob("*") if path.suffix in endings}
        return sorted(
            path
            for path in found
            if not path.name.endswith(".min.js")
            and "migrations" not in path.parts
            and not any(path.is_relative_to(other) for other in self.excluded)
        )

    def path(self, language: str) -> Path:
        """Return where the .po file of a language is; the .mo file is beside it."""
        return self.app / "locale" / language / "LC_MESSAGES" / f"{self.name}.po"

    def read(self, language: str) -> Catalog:
        """Return the catalogue as its file has it; an empty one, if there is no file."""
        path = self.path(language)
        if not path.exists():
            return Catalog(language)
        with path.open("rb") as file:
            catalog = read_po(file, language)
        # The file has no dates, and so has what is made of it.
        catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
        return catalog

    def extracted(self) -> Catalog:
        """Return all texts that the source marks, with the files that have them."""
        found = Catalog()
        for path in self.files:
            for context, message in messages_of(path):
                found.add(message, context=context, locations=[(path.relative_to(ROOT).as_posix(), 0)])
        return found

    def renewed(self, language: str) -> Catalog:
        """Return the catalogue of a language with the texts of the source; new ones are not translated yet."""
        kept, renewed = self.read(language), Catalog(language, fuzzy=False)
        for message in self.extracted():
            if message.id:
                known = kept.get(message.id, message.context)
                string = known.string if known and known.string else ("", "") if message.pluralizable else ""
                renewed.add(message.id, string, locations=message.locations, context=message.context)
        return renewed


REALTIME, BOARDS = ROOT / "realtime", ROOT / "realtime" / "boards"
# The inspector and the command line are tools of developers.
TOOLS = tuple(
    REALTIME / name
    for name in ("static/realtime/inspector", "management", "templates/realtime/inspector.html")
)
DOMAINS = (
    Domain(REALTIME, "django", (REALTIME,), (BOARDS, *TOOLS)),
    Domain(REALTIME, "djangojs", (REALTIME / "static",), TOOLS),
    Domain(BOARDS, "django", (BOARDS, ROOT / "templates", ROOT / "config"), (BOARDS / "management",)),
    Domain(BOARDS, "djangojs", (BOARDS / "static",)),
)


def messages_of(path: Path) -> Iterator[Message]:
    """Yield the texts that a file marks."""
    if path.suffix == ".html":
        yield from messages_of_template(path.read_text())
        return
    method, keywords = ("javascript", SCRIPT_KEYWORDS) if path.suffix == ".js" else ("python", KEYWORDS)
    options = {"parse_template_string": True} if path.suffix == ".js" else {}
    for _, message, _, context in extract(method, io.BytesIO(path.read_bytes()), keywords, options=options):
        yield context, message


def messages_of_template(source: str) -> Iterator[Message]:
    """Yield the texts that a template marks, as Django understands it."""
    for function, arguments in CALL.findall(templatize(source)):
        texts = ast.literal_eval(f"({arguments.rstrip().rstrip(',')},)")
        match function:
            case "pgettext":
                yield texts[0], texts[1]
            case "ngettext":
                yield None, texts
            case _:
                yield None, texts[0]


def compiled(catalog: Catalog) -> bytes:
    """Return the content of a .mo file."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def written(catalog: Catalog) -> bytes:
    """Return the content of a .po file. It has no lines and no dates: two branches rarely change the same ones."""
    file = io.BytesIO()
    write_po(file, catalog, width=110, omit_header=False, sort_output=True, include_lineno=False)
    kept = (line for line in file.getvalue().splitlines(keepends=True) if not DATED.match(line))
    return b"".join(kept)


DATED = re.compile(
    rb'"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|Report-Msgid-Bugs-To)'
)


def main() -> None:
    for domain in DOMAINS:
        for language in LANGUAGES:
            catalog = domain.renewed(language)
            path = domain.path(language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written(catalog))
            path.with_suffix(".mo").write_bytes(compiled(domain.read(language)))
            missing = [each.id for each in catalog if each.id and not _is_translated(each.string)]
            print(f"{path.relative_to(ROOT)}: {len(catalog)} texts, {len(missing)} not translated")
            for text in missing:
                print(f"  {text!r}")


def _is_translated(string: Any) -> bool:
    return bool(string) and (isinstance(string, str) or all(string))


if __name__ == "__main__":
    main()

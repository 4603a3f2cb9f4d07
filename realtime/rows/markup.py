"""The markup of a rendered row: it must be one element, because the page moves, replaces and removes elements."""

import re
from html.parser import HTMLParser

from django.core.exceptions import ImproperlyConfigured
from django.utils.html import escape

_ROOT_ELEMENT = re.compile(r"\s*(?:<!--.*?-->\s*)*<[A-Za-z][\w-]*", re.DOTALL)
_ORDER = re.compile(r' data-order="[^"]*"')  # the first one is the root element's
# The decisive parts: the tags, in which places there is text, and whether text comes first or last.
_DECISIVE = re.compile(r"\A[^<]|</?[A-Za-z][\w-]*|-->|/>|>(?=\s*[^<\s])|[^>]\Z")
# Elements without an end, and those before which an open paragraph ends.
_VOID = frozenset(re.findall(r"\w+", "area base br col embed hr img input link meta param source track wbr"))
_END_PARAGRAPHS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote details dialog div dl fieldset figcaption figure footer form h1 h2 h3 h4 "
        "h5 h6 header hgroup hr main menu nav ol p pre search section table ul",
    )
)
_FOREIGN = frozenset({"svg", "math"})
WORDS = "must render one element"
MAX_KNOWN = 1000
_known: dict[int, str | None] = {}


class BadMarkup(ImproperlyConfigured):
    """A row's template rendered something other than one element."""

    def __init__(self, template_name: str, fault: str) -> None:
        super().__init__(template_name, fault)
        self.template_name, self.fault = template_name, fault

    def __str__(self) -> str:
        return f"{self.template_name} {WORDS}, but it rendered {self.fault}"


def check_one_element(template_name: str, html: str) -> None:
    """Raise BadMarkup unless a rendered row is one element; comments may stand around it.

    Parsing costs as much as rendering, so rows with the same tags in the same order are parsed once.
    """
    known = hash((template_name, tuple(_DECISIVE.findall(html))))
    if known in _known:
        fault = _known[known]
    else:
        fault = fault_of(html)
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[known] = fault
    if fault is not None:
        raise BadMarkup(template_name, fault)


def with_attributes(html: str, **values: str) -> str:
    """Return the HTML of a row with attributes added to its root element: ``data_key`` is ``data-key``."""
    root = _ROOT_ELEMENT.match(html)
    assert root is not None
    marks = "".join(f' {name.replace("_", "-")}="{escape(value)}"' for name, value in values.items())
    return html[: root.end()] + marks + html[root.end() :]


def with_order(html: str, order: str) -> str:
    """Return the HTML of a row that has its attributes with another ``data-order``."""
    return _ORDER.sub(f' data-order="{escape(order)}"', html, count=1)


def fault_of(html: str) -> str | None:
    """Return the fault of a row's markup; None if it is one element."""
    roots = _Roots()
    roots.feed(html)
    roots.close()
    if roots.text:
        return f"the text {roots.text[:60]!r} outside of an element"
    if not roots.names:
        return f"no element: {html[:60]!r}"
    if len(roots.names) > 1:
        return f"{len(roots.names)} elements: {', '.join(f'<{name}>' for name in roots.names[:5])}"
    if roots.open:
        return f"<{roots.names[0]}> without its end, </{roots.open[0]}>"
    return None


class _Roots(HTMLParser):
    """Collects the elements and texts that are inside of no other element."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _END_PARAGRAPHS and "p" in self.open:
            self.handle_endtag("p")
        if not self.open:
            self.names.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """In HTML ``<b/>`` opens an element; in SVG and MathML it is a whole one."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID and _FOREIGN & set(self.open):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self.open and not self.text:
            self.text = data.strip(" \t\n\r\f")  # not a no-break space, which shows

"""Numbers in the values of entries, as people write them."""

import re

NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,12})?")
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
BLANKS = re.compile(r"(?<=\d)[\s'’](?=\d{3})")  # noqa: RUF001  # as the Swiss write it


def number_of(text: str) -> float | None:
    """Return the number that a text is: ``12``, ``-3.5``, ``0,75``, ``1 234.5``, ``1,234``; otherwise None."""
    written = BLANKS.sub("", text.strip().replace("−", "-"))  # noqa: RUF001  # the sign of typographers
    if GROUPED.fullmatch(written):
        written = written.replace(",", "")
    elif written.count(",") == 1 and "." not in written:
        written = written.replace(",", ".")
    return float(written) if written.isascii() and NUMBER.fullmatch(written) else None

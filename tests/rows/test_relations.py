"""Relations: which tables a feed reads, and where they are named. tests/test_checks.py has the warnings."""

import pytest
from django.db.models import Prefetch

from realtime.rows.relations import read_tables
from tests.apps.library.models import Book, Chapter


def named(rows, ordering=(), template=None) -> set[tuple[str, str]]:
    return {
        (table.removeprefix("library_"), where)
        for table, where in read_tables(rows, ordering, template)
        if table != "library_book"
    }


@pytest.mark.parametrize(
    "rows, ordering, expected",
    [
        (Book.objects.all(), [], set()),
        (Book.objects.all(), ["-author__country__name"], {("author", "ordering"), ("country", "ordering")}),
        (Book.objects.all(), ["author_id", "author__id", "title"], set()),
        (Book.objects.prefetch_related("tags"), [], {("book_tags", "prefetch_related"), ("tag", "prefetch_related")}),
        (
            Book.objects.prefetch_related(Prefetch("chapter_set", Chapter.objects.all())), [],
            {("chapter", "prefetch_related")},
        ),
    ],
    ids=range(5),
)  # fmt: skip
def test_each_table_has_the_place_where_it_is_named(rows, ordering, expected):
    assert named(rows, ordering) == expected


def test_templates_are_followed_to_those_they_include(settings, tmp_path):
    """Also where one cannot be loaded."""
    (tmp_path / "row.html").write_text("<li>{% include 'part.html' %}{% include 'nothing.html' %}</li>")
    (tmp_path / "part.html").write_text("{{ book.author.name|upper }} {{ book.title }} {{ book }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert named(Book.objects.all(), template="row.html") == {("author", "the template part.html")}

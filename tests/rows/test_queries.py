"""Queries: what a queryset reads besides the columns of its own rows."""

import pytest
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now, Rank, TruncDay

from realtime.rows import queries
from tests.apps.library.models import Book, Chapter

RANK = Window(Rank(), order_by=F("rank").desc())
SHELF_MATES = Book.objects.filter(shelf=OuterRef("shelf"))
TOTAL = Subquery(SHELF_MATES.values("shelf").annotate(total=Sum("rank")).values("total"))
CHAPTERS = Chapter.objects.filter(book=OuterRef("pk"))


@pytest.mark.parametrize(
    "rows",
    [
        Book.objects.annotate(place=RANK),
        Book.objects.annotate(place=RANK + 1),
        Book.objects.annotate(place=RANK).filter(place__lte=3),
        Book.objects.order_by(RANK),
        Book.objects.annotate(total=TOTAL),
        Book.objects.annotate(share=F("rank") * 100 / TOTAL),
        Book.objects.filter(rank__gte=TOTAL),
        Book.objects.filter(Q(title="x") | Exists(SHELF_MATES.filter(rank__gt=OuterRef("rank")))),
        Book.objects.filter(~Exists(SHELF_MATES.filter(rank__gt=OuterRef("rank")))),
        Book.objects.filter(pk__in=SHELF_MATES.values("pk")[:3]),
        Book.objects.annotate(place=RawSQL("rank() OVER (ORDER BY rank)", [])),
        Book.objects.annotate(place=RawSQL("sum(rank) over w", [])),
        Book.objects.filter(Exists(CHAPTERS.filter(title__in=Book.objects.values("title")))),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_query_whose_rows_depend_on_each_other_is_recognised(rows):
    """By a window or by a subquery of the same table, wherever in the query it stands."""
    assert queries.reads_other_rows(rows)


@pytest.mark.parametrize(
    "rows",
    [
        Book.objects.all(),
        Book.objects.filter(author__name="x").annotate(chapters=Count("chapter")),
        Book.objects.filter(Exists(CHAPTERS)),
        Book.objects.filter(Exists(Book.objects.filter(Q(tags__name="sea"), pk=OuterRef("pk")))),
        Book.objects.annotate(covered=RawSQL("coverage + 1", [])),
    ],
    ids=range(5),
)
def test_a_query_of_the_row_and_its_related_rows_is_not(rows):
    """These are refreshed row by row; ``depends_on`` names the related ones."""
    assert not queries.reads_other_rows(rows)


@pytest.mark.parametrize(
    "rows, does",
    [
        (Book.objects.filter(title__lte=Now()), True),
        (Book.objects.annotate(now=Now()), True),
        (Book.objects.annotate(day=TruncDay(Now())), True),
        (Book.objects.filter(Q(rank=1) | ~Q(title__gt=Now())), True),
        (Book.objects.filter(Exists(CHAPTERS.filter(title__lte=Now()))), True),
        (Book.objects.annotate(day=RawSQL("CURRENT_TIMESTAMP", [])), True),
        (Book.objects.extra(where=["title <= now()"]), True),
        (Book.objects.filter(rank=1), False),
        (Book.objects.annotate(known=RawSQL("known + 1", [])), False),
    ],
)
def test_a_query_that_asks_the_clock_is_recognised(rows, does):
    assert queries.reads_the_time(rows) is does


@pytest.mark.parametrize(
    "rows, expected",
    [
        (Book.objects.all(), set()),
        (Book.objects.filter(author__country__name="x"), {"library_author", "library_country"}),
        (Book.objects.filter(author=1), set()),
        (Book.objects.select_related("author__country"), {"library_author", "library_country"}),
        (Book.objects.select_related("cover"), {"library_cover"}),
        (Book.objects.filter(Exists(CHAPTERS)), {"library_chapter"}),
        (Book.objects.filter(pk__in=CHAPTERS.filter(book__cover__colour="x").values("book")),
         {"library_chapter", "library_cover"}),
    ],
    ids=range(7),
)  # fmt: skip
def test_the_tables_of_a_query_include_those_of_joins_and_subqueries(rows, expected):
    assert queries.all_tables(rows) - {"library_book"} == expected

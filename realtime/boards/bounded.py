"""Bounds for the queries that the lists of the admin may cause."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

if TYPE_CHECKING:  # Django's own class takes no type argument when the program runs
    AnyModelAdmin: TypeAlias = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = object

MAX_SEARCH_CHARACTERS = 200


class Bounded(AnyModelAdmin):
    """A list whose address, which its users may write themselves, cannot cause a query that never ends.

    Django allows every lookup on a column of the model itself. SQLite's regular expressions are Python's: one that
    takes exponential time keeps all threads of the process from running, so that nothing is delivered meanwhile.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not lookup.endswith("regex") and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Each word is a condition, and SQLite accepts a thousand.
        return super().get_search_results(request, queryset, search_term[:MAX_SEARCH_CHARACTERS])

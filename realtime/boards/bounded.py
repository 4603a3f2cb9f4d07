"""Bounds for the queries that the lists of the admin may cause."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError, ProgrammingError
from django.db.models import QuerySet
from django.http import HttpRequest

if TYPE_CHECKING:  # Django's own class takes no type argument when the program runs
    AnyModelAdmin: TypeAlias = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = object

MAX_SEARCH_CHARACTERS = 200


class BoundedChangeList(ChangeList):
    """A list that is shown whole if the lookups of its address cannot be carried out."""

    def get_results(self, request: HttpRequest) -> None:
        """Count and read the rows.

        Raises: IncorrectLookupParameters, for a lookup that Django accepts and cannot carry out: a range with one end,
                the year 0.
        """
        try:
            super().get_results(request)
        except (ValueError, IndexError, OverflowError, DataError, ProgrammingError) as error:
            if not request.GET or ERROR_FLAG in request.GET:
                raise
            raise IncorrectLookupParameters(error) from error


class Bounded(AnyModelAdmin):
    """A list whose address and forms, which its users may write themselves, cause no endless query and no failure.

    Django allows every lookup on a column of the model itself. SQLite's regular expressions are Python's: one that
    takes exponential time keeps all threads of the process from running, so that nothing is delivered meanwhile.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not lookup.endswith("regex") and super().lookup_allowed(lookup, value, request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *others: Any, **named: Any
    ) -> Any:
        """Carry out an action for the chosen rows.

        Raises: BadRequest, if the form has a key that no row can have.
        """
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.clean(key, None)
            except ValidationError as error:
                raise BadRequest(f"no row has the key {key[:80]!r}") from error
        return super().response_action(request, queryset, *others, **named)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Each word is a condition, and SQLite accepts a thousand.
        return super().get_search_results(request, queryset, search_term[:MAX_SEARCH_CHARACTERS])

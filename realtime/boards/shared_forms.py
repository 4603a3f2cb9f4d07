"""Forms for rows that other users change at the same time: they write only the values that their user has changed.

Each form contains, signed, the values that its user was shown. Values that another user has changed meanwhile are not
overwritten; if both have changed the same value, the form shows both and asks. If a row was deleted meanwhile, the
other rows of a table are still saved.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import DateTimeField, Model, QuerySet
from django.forms.models import model_to_dict
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .bounded import BoundedChangeList

if TYPE_CHECKING:  # Django's own classes take no type argument when the program runs
    from django.contrib import admin
    from django.contrib.admin.views.main import ChangeList

    AnyForm: TypeAlias = forms.ModelForm[Any]
    AnyFormSet: TypeAlias = forms.BaseModelFormSet[Any, Any]
    AnyInlineFormSet: TypeAlias = forms.BaseInlineFormSet[Any, Any, Any]
    AnyModelAdmin: TypeAlias = admin.ModelAdmin[Any]
else:
    from django.contrib.admin.views.main import ChangeList

    AnyForm, AnyFormSet, AnyInlineFormSet = forms.ModelForm, forms.BaseModelFormSet, forms.BaseInlineFormSet
    AnyModelAdmin = object

SALT = "realtime.boards.shown"
ROWS_PER_PAGE = 50
"""The number of rows of a table in a form. Django accepts a thousand fields in one request, and a row has eleven."""


class ShownField(forms.CharField):
    """The values that the form's user was shown, signed. This field never counts as changed."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class SharedForm(AnyForm):
    """A form that writes the values that its user has changed, and asks if another user has changed the same ones."""

    shown = ShownField(required=False)

    is_gone = False
    """Whether the row was deleted after the form was loaded."""
    current: Model | None = None
    """The row as it is now, locked until the transaction ends; only of a form with changes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update((name, plain(self.initial[name])) for name in self.names)
        self.shown_key: Any = None
        self.shown_name = ""
        token = self.data.get(self.add_prefix("shown")) if self.is_bound else None
        if token:
            try:
                self.shown_key, self.shown_name, shown = signing.loads(token, salt=self._salt)
            except signing.BadSignature:
                shown = None
            # The signed values of another row are not valid for this one.
            self.is_refused = shown is None or self.instance.pk not in (None, self.shown_key)
            if not self.is_refused:
                self.initial.update((name, self._restored(name, value)) for name, value in shown.items())
        else:
            self.is_refused = False
            if self.instance.pk is not None:
                self.initial["shown"] = self._signed({name: self.initial[name] for name in self.names})
        self._keep_unlisted_choices()

    @property
    def _salt(self) -> str:
        return f"{SALT}.{self._meta.model._meta.label_lower}"

    def _signed(self, shown: dict[str, Any]) -> str:
        texts = {name: str(value) if isinstance(value, datetime) else value for name, value in shown.items()}
        return signing.dumps([self.instance.pk, str(self.instance), texts], salt=self._salt)

    def _restored(self, name: str, value: Any) -> Any:
        field = self._meta.model._meta.get_field(name)
        return field.to_python(value) if isinstance(field, DateTimeField) else value

    @property
    def names(self) -> list[str]:
        """The fields of the row that the form edits, without the keys that a table of forms adds."""
        return [name for name in self.base_fields if name in self.initial and name != "shown"]

    def _keep_unlisted_choices(self) -> None:
        # SQL may write any text. A <select> without it would show, and send, another value.
        for name, field in self.fields.items():
            value = self.initial.get(name)
            if isinstance(field, forms.TypedChoiceField) and isinstance(value, str):
                choices: Any = list(cast(Any, field.choices))
                if value not in [choice for choice, _ in choices]:
                    field.choices = [*choices, (value, value)]

    @property
    def changed_data(self) -> list[str]:
        """The fields that the user has changed, without those where another's value was chosen."""
        return [name for name in super().changed_data if not self._is_as_shown(name)]

    def _is_as_shown(self, name: str) -> bool:
        if not self.is_bound or name not in self.initial:
            return False
        if self.data.get(self.add_prefix(f"{name}-choice")) == "theirs":
            return True
        shown, sent = self.initial[name], self[name].data
        if not isinstance(shown, str) or not isinstance(sent, str):
            return False
        is_one_line = not isinstance(self.fields[name].widget, forms.Textarea)
        return as_sent(shown, is_one_line) == as_sent(sent, is_one_line)

    def has_changed(self) -> bool:
        return not self.is_gone and super().has_changed()

    @property
    def typed(self) -> str:
        """The user's input as a text: ``value “07:30” and status “OK”``."""
        entered = {
            name: in_words(self[name].field, self[name].data)
            for name in self.changed_data
            if name in self.names
        }
        return get_text_list(
            [f"{self._word(name)} “{value}”" for name, value in entered.items()], gettext("and")
        )

    def _word(self, name: str) -> str:
        return str(self._meta.model._meta.get_field(name).verbose_name)

    def full_clean(self) -> None:
        if self.is_gone:
            self._errors, self.cleaned_data = ErrorDict(), {}
        else:
            super().full_clean()

    def _post_clean(self) -> None:
        if self.is_refused:
            self.add_error(
                None,
                _(
                    "What this form was loaded with cannot be verified. Load it again, then repeat your changes."
                ),
            )
        elif self.instance.pk is not None:
            self._leave_the_others_changes()
        super()._post_clean()  # type: ignore[misc]  # Django's hook for subclasses has no stub

    def _get_validation_exclusions(self) -> set[str]:
        # Values that are not written need not be valid: SQL may have written them.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | (set() if self.instance._state.adding else {*self.names} - {*self.changed_data})

    def _leave_the_others_changes(self) -> None:
        changed = self.changed_data
        if changed and self.current is None:
            self.current = lock(type(self.instance), [self.instance.pk]).get(self.instance.pk)
            if self.current is None:
                self.add_error(
                    None,
                    gettext("“{name}” was deleted meanwhile; your changes cannot be saved.").format(
                        name=self.instance
                    ),
                )
                return
        now = model_to_dict(self.current or self.instance, self.names)
        many = {field.name for field in self._meta.model._meta.many_to_many}
        conflicts = {}
        for name in self.names:
            if name not in changed:
                self._errors.pop(name, None)
                if name in many:
                    self.cleaned_data.pop(name, None)  # Django writes those that it finds here
                    continue
                setattr(self.instance, attribute(self.instance, name), now[name])
                self.cleaned_data[name] = getattr(self.instance, name)
            elif name in self.cleaned_data and plain(now[name]) not in (
                self.initial[name],
                plain(self.cleaned_data[name]),
            ):
                conflicts[name] = plain(now[name])
        if conflicts:
            self._ask(conflicts)

    def _ask(self, conflicts: dict[str, Any]) -> None:
        """Report values that another user has changed too; when the form is sent again, its user has seen them."""
        shown = {name: self.initial[name] for name in self.names} | conflicts
        mine = {name: in_words(self.fields[name], self[name].data) for name in conflicts}
        sent: Any = self.data
        self.data = sent = sent.copy()
        sent[self.add_prefix("shown")] = self._signed(shown)
        for name, value in conflicts.items():
            field = self.add_prefix(name)
            theirs = in_words(self.fields[name], value)
            self.add_error(
                name, ValidationError(question(f"{field}-choice", mine[name], theirs), code="conflict")
            )

    @property
    def written(self) -> list[str]:
        """The columns that are written: those that the user has changed, and the time of it."""
        fields = self._meta.model._meta.fields
        columns = {field.name for field in fields}
        changed = [name for name in self.changed_data if name in self.names and name in columns]
        times = [field.name for field in fields if getattr(field, "auto_now", False)]
        return [*changed, *times] if changed else []

    def write(self) -> None:
        """Write the user's changes of an existing row."""
        if self.written:
            self.instance.save(update_fields=self.written)

    def save(self, commit: bool = True) -> Any:
        if not commit or self.instance._state.adding:
            return super().save(commit)
        super().save(commit=False)
        self.write()
        self._save_m2m()  # type: ignore[attr-defined]  # set by save(commit=False)
        return self.instance


def as_sent(text: str, is_one_line: bool) -> str:
    """Return a text as browsers send it back and form fields read it: other line ends, no outer blanks."""
    text = re.sub(r"\r\n?", "\n", text)
    return (text.replace("\n", "") if is_one_line else text).strip()


def plain(value: Any) -> Any:
    """Return a value as it is compared and signed: of a row its key, of several rows their keys."""
    if isinstance(value, (list, QuerySet)):
        return sorted(plain(each) for each in value)
    return value.pk if isinstance(value, Model) else value


def is_key(model: type[Model], text: str) -> bool:
    """Return whether a row of the model may have this key: a number as its column stores it."""
    try:
        model._meta.pk.clean(text, None)
    except ValidationError:
        return False
    return True


def attribute(instance: Model, name: str) -> str:
    """Return the attribute that has a field's value in the database: of a foreign key, the key."""
    return str(getattr(instance._meta.get_field(name), "attname", name))


def in_words(field: forms.Field, value: Any) -> str:
    """Return a value as its field shows it: a choice by its label, a switch as yes or no."""
    if isinstance(field, forms.BooleanField):
        return gettext("yes") if field.to_python(value) else gettext("no")
    value = field.prepare_value(value)
    if isinstance(field, (forms.MultipleChoiceField, forms.ModelMultipleChoiceField)):
        labels = {str(choice): str(label) for choice, label in cast(Any, field.choices)}
        return ", ".join(labels.get(str(each), str(each)) for each in value or [])
    if isinstance(field, (forms.ChoiceField, forms.ModelChoiceField)):
        choices: Any = field.choices
        return next((str(label) for choice, label in choices if str(choice) == str(value)), str(value))
    return "" if value is None else str(value)


def question(name: str, mine: str, theirs: str) -> SafeString:
    return format_html(
        "{words} "
        '<label><input type="radio" name="{name}" value="mine" checked> {keep}</label> '
        '<label><input type="radio" name="{name}" value="theirs"> “{theirs}”</label>',
        words=gettext(
            "Changed meanwhile to “{theirs}”; you entered “{mine}”. Choose, then save again:"
        ).format(theirs=theirs, mine=mine),
        keep=gettext("“{mine}”, or the value that the field has then").format(mine=mine),
        name=name, theirs=theirs,
    )  # fmt: skip


def lock(model: type[Model], keys: Iterable[Any]) -> dict[Any, Model]:
    """Return rows by key, as they are until the transaction ends. The order prevents deadlocks."""
    rows = model._base_manager.select_for_update().filter(pk__in=list(keys)).order_by("pk")
    return {row.pk: row for row in rows}


class SharedRows(AnyFormSet):
    """A table of forms: rows that were deleted meanwhile are left out; a message has the input for them."""

    model: type[Model]
    request: HttpRequest

    @classmethod
    def of(cls, request: HttpRequest) -> type["SharedRows"]:
        """Return a subclass for one request: the admin makes tables of a class."""
        return type(cls.__name__, (cls,), {"request": request})

    def initial_form_count(self) -> int:
        """Return how many forms belong to existing rows; at most the number of forms sent, whatever they state."""
        count = super().initial_form_count()
        return max(0, min(count, self.total_form_count())) if self.is_bound else count

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form: Any = super()._construct_form(i, **kwargs)  # type: ignore[misc]
        is_known = self.is_bound and i < self.initial_form_count()
        form.is_gone = is_known and form.instance.pk is None and form.shown_key is not None
        return form

    def add_fields(self, form: Any, index: int | None) -> None:
        """Name each input by its column and its row: in a table it has no label of its own."""
        super().add_fields(form, index)
        row = f": {form.instance}" if form.instance.pk else ""
        for field in form.fields.values():
            if not field.widget.is_hidden:
                field.widget.attrs.setdefault("aria-label", f"{field.label}{row}")

    def full_clean(self) -> None:
        if self.is_bound and self.management_form.is_valid():
            changed: dict[Any, Any] = {
                form.instance.pk: form
                for form in self.initial_forms
                if form.instance.pk is not None and form.has_changed()
            }
            rows = lock(self.model, changed) if changed else {}
            for key, form in changed.items():
                form.current, form.is_gone = rows.get(key), key not in rows
        super().full_clean()
        for form in self.forms if self.is_bound else []:
            if form.is_gone and form.typed:
                words = gettext("“{name}” was deleted meanwhile; this was not saved: {values}.").format(
                    name=form.shown_name, values=form.typed
                )
                messages.warning(self.request, words)


class SharedInlineRows(SharedRows, AnyInlineFormSet):
    """A table in the form of another row, a page of it at a time."""

    name_field = "label"
    page: Page[Any] | None = None
    page_parameter = "page"
    _rows: list[Any] | None = None

    def get_queryset(self) -> Any:
        """Return the rows of the page; of a form that was sent the rows that it has, in its order."""
        if self._rows is None:
            rows: Any = self.queryset
            if self.is_bound:
                keys = [
                    self.data.get(f"{self.prefix}-{i}-{self.model._meta.pk.name}", "")
                    for i in range(self.initial_form_count())
                ]
                found = {
                    str(row.pk): row
                    for row in rows.filter(pk__in=[key for key in keys if is_key(self.model, key)])
                }
                self._rows = [
                    found.get(key) or self.model(**{self.name_field: gettext("Deleted meanwhile")})
                    for key in keys
                ]
            else:
                self.page = Paginator(rows, ROWS_PER_PAGE).get_page(self.request.GET.get(self.page_parameter))
                self._rows = list(self.page)
        return self._rows


class PairedChangeList(BoundedChangeList):
    """A change list that shows each form beside its own row, also when rows were deleted or moved meanwhile."""

    _formset: Any = None

    @property
    def formset(self) -> Any:
        return self._formset

    @formset.setter
    def formset(self, formset: Any) -> None:
        self._formset = formset
        if formset is not None and formset.is_bound:
            # Those of deleted rows come last: they have no row, but the values that were shown are sent along.
            formset.forms.sort(key=lambda form: form.instance.pk is None)
            self.result_list = [form.instance for form in formset.forms if form.instance.pk is not None]


class SharedAdmin(AnyModelAdmin):
    """An admin for two editors at once: of its forms, of the change list and of tables in its form."""

    list_max_show_all = 100  # of which the form has 600 fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PairedChangeList

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, **kwargs | {"formset": SharedRows.of(request)})

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method != "POST" or "_save" not in request.POST:
            return super().changelist_view(request, extra_context)
        with transaction.atomic():  # from reading the rows until they are written
            return super().changelist_view(request, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            form.write()
        else:
            super().save_model(request, obj, form, change)


def fields_of(changes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the change message of Django's history about changed fields."""
    return [{"changed": {"fields": list(changes)}}]

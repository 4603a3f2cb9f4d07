"""The admin of boards and entries: one by one, as a table, or many at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from realtime.feeds import registry

from .bounded import Bounded
from .history import states
from .models import Board, Entry, Notice, Status, common_zone
from .planned import shown_in_words
from .screens import admin as screens  # noqa: F401  # registers its model
from .shared_forms import AnyForm, SharedAdmin, SharedForm, SharedInlineRows, fields_of, is_key
from .time_fields import WeekdaysField, ZonedTimeField, check_order, show_by_clock, show_by_clock_of
from .undo_messages import UndoableAdmin
from .voices import admin as voices  # noqa: F401  # registers its model
from .voices.reactions import KindsField

if TYPE_CHECKING:  # Django's own classes take no type argument when the program runs
    EntryTable: TypeAlias = admin.TabularInline[Entry, Board]
    BoardModelAdmin: TypeAlias = admin.ModelAdmin[Board]
    NoticeModelAdmin: TypeAlias = admin.ModelAdmin[Notice]
    EntryModelAdmin: TypeAlias = admin.ModelAdmin[Entry]
else:
    EntryTable = admin.TabularInline
    BoardModelAdmin = EntryModelAdmin = NoticeModelAdmin = admin.ModelAdmin

admin.site.site_title = admin.site.site_header = "Tidemark"
admin.site.index_title = _("Edit here; every open page follows")


TEXTS = ["label", "value", "unit", "status", "note"]
TIMES = ["at", "shows_from", "shows_until"]


class EntryForm(SharedForm):
    """The form of an entry, alone or in a table: each input is as wide as its usual content."""

    class Meta:
        widgets = {
            **{
                name: forms.TextInput({"size": size})
                for name, size in {"label": 20, "value": 9, "unit": 5, "note": 28}.items()
            },
            **dict.fromkeys(TIMES, ZonedTimeField.widget),
            "weekdays": WeekdaysField.widget,
        }
        field_classes = {**dict.fromkeys(TIMES, ZonedTimeField), "weekdays": WeekdaysField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        show_by_clock_of(self, self._board())
        if self.instance._state.adding and "position" in self.fields:
            position = self.fields["position"]
            self.initial["position"], position.required = None, False
            position.help_text = _("Leave it empty to add the entry at the end.")

    def _board(self) -> Board | None:
        """Return the board by whose clock the form shows times; for a new entry, the chosen board."""
        if self.instance.board_id:
            return Board.objects.filter(pk=self.instance.board_id).first()
        chosen = self.data.get(self.add_prefix("board")) or str(self.initial.get("board") or "")
        return Board.objects.filter(pk=chosen).first() if chosen and is_key(Board, chosen) else None

    def clean(self) -> Any:
        cleaned = super().clean()
        check_order(self, self.cleaned_data.get("shows_from"), "shows_until")
        return cleaned

    def save(self, commit: bool = True) -> Any:
        if self.instance._state.adding and self.cleaned_data.get("position") is None:
            self.instance.position = Entry.objects.next_position(self.instance.board_id)
        return super().save(commit)


class EntryRows(SharedInlineRows):
    """The entries in the form of their board."""

    @cached_property
    def shown_board(self) -> Board:
        """The board as the form has shown it: a changed time zone is not saved yet."""
        return Board.objects.filter(pk=self.instance.pk).first() or self.instance

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form = super()._construct_form(i, **kwargs)
        show_by_clock_of(form, self.shown_board)
        return form


class EntryInline(EntryTable):
    model = Entry
    form = EntryForm
    template = "admin/boards/paged_rows.html"
    fields = ["position", "label", "value", "unit", "at", "status", "note", "is_visible", "is_pinned"]
    extra = 1
    show_change_link = True

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **kwargs | {"formset": EntryRows.of(request)})


class BoardForm(SharedForm):
    """The form of a board."""

    class Meta:
        field_classes = {"reactions": KindsField}
        widgets = {"reactions": KindsField.widget}


@admin.register(Board)
class BoardAdmin(UndoableAdmin, SharedAdmin, Bounded, BoardModelAdmin):
    form = BoardForm
    list_display = ["title", "slug", "position", "is_public", "entry_count", "page"]
    list_editable = ["position", "is_public"]
    list_filter = ["is_public"]
    list_per_page = 50
    search_fields = ["title", "description"]
    prepopulated_fields = {"slug": ["title"]}
    inlines = [EntryInline]
    fieldsets = [
        (None, {"fields": ["title", "slug", "description", ("position", "is_public")]}),
        (_("Time and order"), {"fields": [("time_zone", "sorting", "hides_after")]}),
        (_("Sharing"), {"fields": ["embed_origins"], "classes": ["collapse"]}),
        (_("Charts"), {"fields": ["chart_days"]}),
        (
            _("Viewers"),
            {"fields": [("takes_messages", "messages_on_walls"), "reactions", "shows_viewers"]},
        ),
        (
            _("Headings of the columns"),
            {
                "fields": [("label_heading", "value_heading", "status_heading", "note_heading")],
                "description": _(
                    "Leave a heading blank to show its column without one. "
                    "Pages that are already open show new headings after a reload."
                ),
            },
        ),
    ]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **kwargs | {"form": SharedForm})

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is not Entry:
            super().save_formset(request, form, formset, change)
            return
        keys = [each.instance.pk for each in formset.initial_forms if each.instance.pk and each.has_changed()]
        before = states(keys)
        super().save_formset(request, form, formset, change)
        self.record(request, before | dict.fromkeys(entry.pk for entry in formset.new_objects))

    def response_change(self, request: HttpRequest, obj: Board) -> HttpResponse:
        """After "Save and continue editing", stay on the page of the entries."""
        response = super().response_change(request, obj)
        page = request.GET.get(SharedInlineRows.page_parameter, "")
        if "_continue" in request.POST and page.isdecimal():
            response["Location"] = f"{request.path}?{SharedInlineRows.page_parameter}={page}"
        return response

    def get_queryset(self, request: HttpRequest) -> QuerySet[Board]:
        boards: QuerySet[Board] = super().get_queryset(request).annotate(entry_total=Count("entries"))
        return boards

    @admin.display(description=_("entries"), ordering="entry_total")
    def entry_count(self, board: Any) -> int:
        return int(board.entry_total)

    @admin.display(description=_("live page"))
    def page(self, board: Board) -> str:
        return format_html('<a href="{}">{}</a>', board.get_absolute_url(), board.get_absolute_url())


class TargetBoardForm(ActionForm):
    """The action bar with the target board of the action “move”."""

    target_board = forms.ModelChoiceField(Board.objects.all(), required=False, label=_("Board to move to:"))


Action: TypeAlias = Callable[["EntryAdmin", HttpRequest, QuerySet[Entry]], None]


def set_status_to(status: Status) -> Action:
    """Return the bulk action that sets this status."""

    def set_status(entry_admin: "EntryAdmin", request: HttpRequest, entries: QuerySet[Entry]) -> None:
        entry_admin.update(
            request, entries, gettext("status set to “{status}”").format(status=status.label), status=status
        )

    set_status.__name__ = f"set_status_{status.value or 'none'}"
    return admin.action(
        set_status,
        permissions=["change"],
        description=format_lazy(_("Set status: {status}"), status=status.label),
    )


@admin.register(Entry)
class EntryAdmin(UndoableAdmin, SharedAdmin, Bounded, EntryModelAdmin):
    form = EntryForm
    list_display = ["label", "board", "position", "value", "unit", "status", "is_visible", "updated"]
    list_editable = ["position", "value", "status", "is_visible"]
    list_filter = ["board", "status", "is_visible", "is_due"]
    list_select_related = ["board"]
    list_per_page = 50
    search_fields = ["label", "note"]
    ordering = ["board__position", "board", "position", "pk"]
    fieldsets = [
        (None, {"fields": ["board", "position", *TEXTS, "is_visible", "is_pinned"]}),
        (_("Time"), {"fields": ["at", ("shows_from", "shows_until"), "weekdays", "shown_now", "updated"]}),
    ]
    readonly_fields = ["shown_now", "updated"]
    save_on_top = True
    action_form = TargetBoardForm
    actions = [*map(set_status_to, Status), "show", "hide", "move"]

    @admin.display(description=_("shown now"))
    def shown_now(self, entry: Entry) -> str:
        return shown_in_words(entry)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **kwargs | {"form": EntryForm})

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the list, with the topics of the boards whose entries it shows: it follows their changes."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            feed = registry["allentries" if "allentries" in registry else "entries"]
            shown = {entry.board_id for entry in response.context_data["cl"].result_list}
            boards = shown or {*Board.objects.values_list("pk", flat=True)[:1]}
            response.context_data["live_topics"] = " ".join(feed.topic(key) for key in sorted(boards))
        return response

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = states([obj.pk]) if change else {}
        super().save_model(request, obj, form, change)
        self.record(request, before or {obj.pk: None})

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Entry) -> None:
        before = states([obj.pk])
        super().delete_model(request, obj)
        self.record(request, before)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> None:
        before = states(queryset.order_by().values_list("pk", flat=True))
        super().delete_queryset(request, queryset)
        self.record(request, before)

    @admin.action(permissions=["change"], description=_("Show on the page"))
    def show(self, request: HttpRequest, entries: QuerySet[Entry]) -> None:
        self.update(request, entries, gettext("shown"), is_visible=True)

    @admin.action(permissions=["change"], description=_("Hide from the page"))
    def hide(self, request: HttpRequest, entries: QuerySet[Entry]) -> None:
        self.update(request, entries, gettext("hidden"), is_visible=False)

    @admin.action(permissions=["change"], description=_("Move to the board chosen in “Board to move to”"))
    def move(self, request: HttpRequest, entries: QuerySet[Entry]) -> None:
        # The admin has already validated the action form: a number here is the key of a board.
        target = request.POST.get("target_board")
        board = Board.objects.filter(pk=target).first() if target else None
        if board is None:
            sentence = _(
                "Nothing was moved: choose a board in “Board to move to”, then run the action again."
            )
            self.message_user(request, sentence, messages.ERROR)
            return
        self.update(request, entries, gettext("moved to “{board}”").format(board=board), board=board)

    def update(self, request: HttpRequest, entries: QuerySet[Entry], outcome: str, **changes: Any) -> None:
        """Write the same values to all entries by one statement, and record them in the history of each."""
        with transaction.atomic():
            # By key: afterwards the filters of the list may no longer find them.
            found = entries.order_by("pk").select_for_update(of=["self"])
            before = states([entry.pk for entry in found])
            written = Entry.objects.filter(pk__in=before)
            count = written.update(**changes, updated=Now())
            self.record(request, before)
            editor: Any = request.user.pk
            LogEntry.objects.log_actions(editor, written, CHANGE, fields_of([*changes]))
        words = ngettext("{count} entry: {outcome}.", "{count} entries: {outcome}.", count)
        self.message_user(request, words.format(count=count, outcome=outcome), messages.SUCCESS)


class NoticeForm(AnyForm):
    """The form of a notice: its times are by the clock of its boards."""

    class Meta:
        widgets = dict.fromkeys(TIMES, ZonedTimeField.widget) | {"weekdays": WeekdaysField.widget}
        field_classes = dict.fromkeys(TIMES, ZonedTimeField) | {"weekdays": WeekdaysField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            zone = self.instance.zone
        else:
            chosen = self["boards"].value() or []
            keys = [key for key in [*chosen] if is_key(Board, str(key))]
            zone = common_zone(Board.objects.filter(pk__in=keys))
        show_by_clock(self, zone)

    def clean(self) -> Any:
        cleaned = super().clean()
        check_order(self, self.cleaned_data.get("shows_from"), "shows_until")
        return cleaned


@admin.register(Notice)
class NoticeAdmin(Bounded, NoticeModelAdmin):
    form = NoticeForm
    list_display = ["text", "level", "shows_from", "shows_until", "days_in_words", "is_shown"]
    list_filter = ["is_shown", "level", "boards"]
    list_per_page = 50
    search_fields = ["text"]
    filter_horizontal = ["boards"]
    actions = ["end_now"]

    @admin.action(permissions=["change"], description=_("End now"))
    def end_now(self, request: HttpRequest, notices: QuerySet[Notice]) -> None:
        count = notices.update(shows_until=Now(), is_shown=False)
        words = ngettext("{count} notice ended.", "{count} notices ended.", count)
        self.message_user(request, words.format(count=count), messages.SUCCESS)

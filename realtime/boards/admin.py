"""The admin of boards and entries: one by one, as a table, or many at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from realtime.feeds import registry

from . import due
from .board_values import key_of
from .bounded import Bounded
from .history import states
from .languages import LanguageField
from .models import RANKED_BY, Board, BoardStatus, Entry, Logo, Notice, Organisation, Status, common_zone
from .organisations import MAX_LOGO_KB, picture_of, remove_unused
from .own_statuses import words_of_all
from .planned import shown_in_words
from .screens import admin as screens  # noqa: F401  # registers its model
from .shared_forms import AnyForm, SharedAdmin, SharedForm, SharedInlineRows, fields_of, is_key
from .time_fields import WeekdaysField, ZonedTimeField, check_order, show_by_clock, show_by_clock_of
from .undo_messages import UndoableAdmin
from .voices import admin as voices  # noqa: F401  # registers its model
from .voices.reactions import KindsField
from .zones import ZoneInput

if TYPE_CHECKING:  # Django's own classes take no type argument when the program runs
    EntryTable: TypeAlias = admin.TabularInline[Entry, Board]
    BoardModelAdmin: TypeAlias = admin.ModelAdmin[Board]
    NoticeModelAdmin: TypeAlias = admin.ModelAdmin[Notice]
    EntryModelAdmin: TypeAlias = admin.ModelAdmin[Entry]
    OrganisationModelAdmin: TypeAlias = admin.ModelAdmin[Organisation]
    StatusTable: TypeAlias = admin.TabularInline[BoardStatus, Board]
    AnyUserAdmin: TypeAlias = UserAdmin[User]
else:
    AnyUserAdmin = UserAdmin
    EntryTable = StatusTable = admin.TabularInline
    BoardModelAdmin = EntryModelAdmin = NoticeModelAdmin = OrganisationModelAdmin = admin.ModelAdmin

admin.site.site_title = admin.site.site_header = "Tidemark"
admin.site.index_title = _("Edit here; every open page follows")


TEXTS = ["label", "value", "unit", "status", "note"]
TIMES = ["at", "shows_from", "shows_until"]


def offer_statuses(form: Any, board: Board | None) -> None:
    """Let a form offer the statuses of a board, and the one that its entry has; without a board those of all."""
    field = form.fields.get("status")
    if field is None:
        return
    offered = dict(board.offered_statuses if board else [*Status.choices, *words_of_all()])
    now = form.initial.get("status") or ""
    if now not in offered:
        offered[now] = (board or Board()).word_of(now)
    field.choices = [*offered.items()]


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

    def __init__(self, *args: Any, board: Board | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        board = board or self._board()
        show_by_clock_of(self, board)
        offer_statuses(self, board)
        if self.instance._state.adding and "position" in self.fields:
            position = self.fields["position"]
            self.initial["position"], position.required = None, False
            position.help_text = _("Leave it empty to add the entry at the end.")

    def _board(self) -> Board | None:
        """Return the board by whose clock the form shows times; for a new entry, the chosen board."""
        if "board" in self.instance._state.fields_cache:
            board: Board = self.instance.board
            return board
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
        boards = Board.objects.prefetch_related("statuses")
        return boards.filter(pk=self.instance.pk).first() or self.instance

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return super().get_form_kwargs(index) | {"board": self.shown_board}


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
        field_classes = {"reactions": KindsField, "language": LanguageField}
        widgets = {
            "reactions": KindsField.widget, "language": LanguageField.widget, "time_zone": ZoneInput
        }  # fmt: skip


class StatusForm(SharedForm):
    """The form of a status: a new one is the worst, unless its place is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial["position"], self.fields["position"].required = None, False

    def save(self, commit: bool = True) -> Any:
        if self.instance._state.adding and self.cleaned_data.get("position") is None:
            self.instance.position = BoardStatus.objects.next_position(self.instance.board_id)
        return super().save(commit)


class StatusRows(SharedInlineRows):
    """The statuses of its own in the form of a board."""

    name_field = "word"
    page_parameter = "statuses"

    def clean(self) -> None:
        """Raise ValidationError if two have the same word: editors could not tell them apart."""
        super().clean()
        forms = [form for form in self.forms if not self._should_delete_form(form)]  # type: ignore[attr-defined]
        words = [str(form.cleaned_data["word"]).casefold() for form in forms if form.cleaned_data.get("word")]
        if double := next((word for word in words if words.count(word) > 1), None):
            raise ValidationError(
                _("Two statuses are called “%(word)s”; change one."), params={"word": double}
            )


class StatusInline(StatusTable):
    """The statuses of a board, for editors who may change it."""

    model = BoardStatus
    form = StatusForm
    template = "admin/boards/paged_rows.html"
    fields = ["position", "word", "colour", "icon"]
    extra = 1
    verbose_name_plural = _("statuses of its own, from the best to the worst; without any the standard ones")
    classes = ["collapse"]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **kwargs | {"formset": StatusRows.of(request)})

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("boards.view_board") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("boards.change_board")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request)


@admin.register(Board)
class BoardAdmin(UndoableAdmin, SharedAdmin, Bounded, BoardModelAdmin):
    form = BoardForm
    list_display = ["title", "slug", "position", "is_public", "entry_count", "page"]
    list_editable = ["position", "is_public"]
    list_filter = ["is_public"]
    list_per_page = 50
    search_fields = ["title", "description"]
    prepopulated_fields = {"slug": ["title"]}
    inlines = [StatusInline, EntryInline]
    fieldsets = [
        (None, {"fields": ["title", "slug", "description", ("position", "is_public")]}),
        (_("Organisation, language and zone"), {"fields": [("organisation", "language", "time_zone")]}),
        (_("Order and time"), {"fields": [("sorting", "hides_after")]}),
        (_("Sharing"), {"fields": ["embed_origins"], "classes": ["collapse"]}),
        (_("Charts"), {"fields": ["chart_days"]}),
        (
            _("Viewers"),
            {"fields": [("takes_messages", "messages_on_walls"), "reactions", "shows_viewers"]},
        ),
        (
            _("Columns"),
            {
                "fields": [
                    ("label_heading", "value_heading", "status_heading", "note_heading"),
                    ("shows_value", "shows_status", "shows_note", "shows_updated"),
                ],
                "description": _("Leave a heading blank to show its column without one."),
            },
        ),
    ]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **kwargs | {"form": SharedForm})

    def save_model(self, request: HttpRequest, obj: Board, form: Any, change: bool) -> None:
        form.states = states([key_of(obj.pk)]) if change else {}
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the tables of the form, then record what has become of the board itself: its statuses are in one."""
        super().save_related(request, form, formsets, change)
        self.record(request, form.states or {key_of(form.instance.pk): None})

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


def set_status_to(status: str, word: str) -> Action:
    """Return the bulk action that sets this status."""

    def set_status(entry_admin: "EntryAdmin", request: HttpRequest, entries: QuerySet[Entry]) -> None:
        words = gettext("status set to “{status}”").format(status=word)
        entry_admin.update(request, entries, words, status=status)

    return set_status


class StatusFilter(admin.SimpleListFilter):
    """The standard statuses, and those that boards have of their own."""

    title = _("status")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        standard = [(value, str(word)) for value, word in Status.choices]
        return [*dict([*standard, *words_of_all()]).items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() is None else queryset.filter(status=self.value())


@admin.register(Entry)
class EntryAdmin(UndoableAdmin, SharedAdmin, Bounded, EntryModelAdmin):
    form = EntryForm
    list_display = ["label", "board", "position", "value", "unit", "status", "is_visible", "updated"]
    list_editable = ["position", "value", "status", "is_visible"]
    list_filter = ["board", StatusFilter, "is_visible", "is_due"]
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
    actions = ["show", "hide", "move"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        entries: QuerySet[Entry] = super().get_queryset(request).prefetch_related("board__statuses")
        return entries

    def get_actions(self, request: HttpRequest) -> Any:
        """Return the actions, with one for each status: those of the board to which the list is filtered."""
        actions = super().get_actions(request)
        if not self.has_change_permission(request) or IS_POPUP_VAR in request.GET:
            return actions
        chosen = request.GET.get("board__id__exact", "")
        board = Board.objects.filter(pk=chosen).first() if chosen and is_key(Board, chosen) else None
        by_name: dict[str, Any] = {
            f"set_status_{value or 'none'}": (value, word)
            for value, word in (board or Board()).offered_statuses
        }
        return {
            name: (set_status_to(value, word), name, gettext("Set status: {status}").format(status=word))
            for name, (value, word) in by_name.items()
        } | actions

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
        """Write the same values to all entries, and record them in the history of each."""
        with transaction.atomic():
            # By key: afterwards the filters of the list may no longer find them.
            found = entries.order_by("pk").select_for_update(of=["self"])
            before = states([entry.pk for entry in found])
            written = Entry.objects.filter(pk__in=before)
            count = written.update(**changes, updated=Now())
            if not RANKED_BY.isdisjoint(changes):
                due.renew([*before], timezone.now())
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


class OrganisationForm(AnyForm):
    """The form of an organisation, with its logo as a file."""

    picture = forms.FileField(
        required=False,
        label=_("New logo"),
        help_text=format_lazy(_("PNG, SVG, JPEG, WebP or GIF, at most {most} kB."), most=MAX_LOGO_KB),
        widget=forms.FileInput,
    )
    is_removed = forms.BooleanField(required=False, label=_("Remove the logo"))

    class Meta:
        model = Organisation
        fields = ["name"]

    def clean_picture(self) -> bytes | None:
        file = self.cleaned_data["picture"]
        return picture_of(file) if file else None


@admin.register(Organisation)
class OrganisationAdmin(Bounded, OrganisationModelAdmin):
    form = OrganisationForm
    fields = ["name", "shown_logo", "picture", "is_removed"]
    readonly_fields = ["shown_logo"]
    search_fields = ["name"]

    @admin.display(description=_("logo"))
    def shown_logo(self, organisation: Organisation) -> str:
        if not organisation.logo_id:
            return "-"
        return format_html(
            '<img src="{}" alt="" height="40">', reverse("boards:logo", args=[organisation.logo_id])
        )

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Organisation, form: Any, change: bool) -> None:
        if form.cleaned_data["picture"]:
            obj.logo = Logo.keep(form.cleaned_data["picture"])
        elif form.cleaned_data["is_removed"]:
            obj.logo = None
        super().save_model(request, obj, form, change)
        remove_unused()


admin.site.unregister([User, Group])


@admin.register(User)
class BoundedUserAdmin(Bounded, AnyUserAdmin):
    pass


@admin.register(Group)
class BoundedGroupAdmin(Bounded, GroupAdmin):
    pass

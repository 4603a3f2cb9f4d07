"""The desk: the list of screens in the admin, where they are paired, configured, reloaded and identified."""

from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..bounded import Bounded
from ..builds import build
from ..shared_forms import SharedAdmin, SharedForm, fields_of
from . import pairing
from .models import Screen

if TYPE_CHECKING:  # Django's own classes take no type argument when the program runs
    ScreenModelAdmin: TypeAlias = admin.ModelAdmin[Screen]
    ScreenModelForm: TypeAlias = forms.ModelForm[Screen]
else:
    ScreenModelAdmin, ScreenModelForm = admin.ModelAdmin, forms.ModelForm

IDENTIFIED = timedelta(seconds=60)


class ScreenFields(ScreenModelForm):
    """The board and the layout of a screen."""

    class Meta:
        model = Screen
        fields = ["name", "board", "then", "seconds", "dim_from", "dim_until"]
        widgets = {"then": forms.CheckboxSelectMultiple}
        help_texts = {
            "board": _(
                "A board that is not public is shown only if a member of staff has signed in on the screen."
            ),
            "then": _("The screen shows each of them for its pages, then the next one."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields:  # a form of the list has the board alone
            self.fields["name"].required = True


class ScreenForm(SharedForm, ScreenFields):
    """The form of a paired screen, which two editors may have open at once."""


class PairForm(ScreenFields):
    """The form of a new screen: the code that it shows is typed here once."""

    request: HttpRequest
    screen_code = forms.CharField(
        label=_("Code"),
        max_length=20,
        help_text=_(
            "The six characters that the screen shows at the address /screen/. They are valid for ten minutes."
        ),
        widget=forms.TextInput({"autocomplete": "off", "autocapitalize": "characters", "size": 10}),
    )

    @classmethod
    def of(cls, request: HttpRequest) -> "type[PairForm]":
        """Return a subclass for one request: the admin makes forms of a class."""
        return type(cls.__name__, (cls,), {"request": request, "__module__": cls.__module__})

    def clean_screen_code(self) -> str:
        """Make this the form of the screen that shows the typed code."""
        if seconds := pairing.wrong_codes.seconds_until_next(self.request):
            raise forms.ValidationError(
                gettext("Too many wrong codes. Try again in {seconds} s.").format(seconds=ceil(seconds))
            )
        typed: str = self.cleaned_data["screen_code"]
        screen = pairing.waiting_for(typed)
        if screen is None:
            pairing.wrong_codes.count(self.request)
            raise forms.ValidationError(_("No screen shows this code now. Type the one that it shows."))
        self.instance = screen
        screen.code = screen.code_until = None
        return typed


@admin.register(Screen)
class ScreenAdmin(SharedAdmin, Bounded, ScreenModelAdmin):
    form = ScreenForm
    list_display = ["name", "state", "board", "heard", "size", "pages"]
    list_editable = ["board"]
    list_filter = ["is_online"]
    list_per_page = 50
    search_fields = ["name"]
    actions = ["ask_reload", "identify"]
    shown = ("board", "then", "seconds", ("dim_from", "dim_until"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Screen]:
        return super().get_queryset(request).exclude(name="")

    def get_form(
        self, request: HttpRequest, obj: Screen | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = PairForm.of(request)
        return super().get_form(request, obj, change, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field without the icons that lead to the editing of boards."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def get_fieldsets(self, request: HttpRequest, obj: Screen | None = None) -> Any:
        first = ["screen_code", "name"] if obj is None else ["name"]
        return [(None, {"fields": [*first, *self.shown]})]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **kwargs | {"form": ScreenForm})

    def save_model(self, request: HttpRequest, obj: Screen, form: Any, change: bool) -> None:
        """Write only the fields of the form: the screen's page and the job may write other columns meanwhile."""
        if change:
            super().save_model(request, obj, form, change)
        else:
            columns = [
                name for name in form.cleaned_data if name in ScreenFields.Meta.fields and name != "then"
            ]
            obj.save(update_fields=[*columns, "code", "code_until"])

    @admin.display(description=_("state"), ordering="is_online", boolean=False)
    def state(self, screen: Screen) -> str:
        if screen.is_online:
            return gettext("online")
        if screen.absent_since is None:
            return gettext("not seen yet")
        return gettext("silent for {time}").format(time=timesince(screen.absent_since))

    @admin.display(description=_("last heard"), ordering="last_heard")
    def heard(self, screen: Screen) -> Any:
        return screen.last_heard

    @admin.display(description=_("version"), ordering="version")
    def pages(self, screen: Screen) -> str:
        """Return whether its pages are of the server's build."""
        if not screen.version:
            return ""
        if screen.version == build():
            return gettext("current")
        return gettext("{version} (not current)").format(version=screen.version[:7])

    @admin.action(permissions=["change"], description=_("Reload"))
    def ask_reload(self, request: HttpRequest, screens: QuerySet[Screen]) -> None:
        self._ask(request, screens, gettext("asked to reload"), reload_asked=timezone.now())

    @admin.action(permissions=["change"], description=_("Identify: show the name on the screen for a minute"))
    def identify(self, request: HttpRequest, screens: QuerySet[Screen]) -> None:
        self._ask(request, screens, gettext("showing the name"), identify_until=timezone.now() + IDENTIFIED)

    def _ask(self, request: HttpRequest, screens: QuerySet[Screen], outcome: str, **columns: Any) -> None:
        editor: Any = request.user.pk
        with transaction.atomic():
            asked = Screen.objects.filter(pk__in=[screen.pk for screen in screens])
            count = asked.update(**columns)
            LogEntry.objects.log_actions(editor, asked, CHANGE, fields_of([*columns]))
        words = ngettext("{count} screen: {outcome}.", "{count} screens: {outcome}.", count)
        self.message_user(request, words.format(count=count, outcome=outcome), messages.SUCCESS)

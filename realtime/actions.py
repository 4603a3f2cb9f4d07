"""Actions: functions that clients run by a ``call``; declared in an app's ``live.py``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms

from .engine.codes import Code
from .engine.errors import RealtimeError
from .rows.values import is_same
from .rows.visibility import granted, result_of

__all__ = ["ActionRefused", "action", "everyone", "is_staff"]


def is_staff(user: Any) -> bool:
    """Return whether a user is an active member of staff."""
    return bool(user.is_active and getattr(user, "is_staff", False))


def everyone(user: Any) -> bool:
    """Return True for every user, anonymous ones included."""
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """A function of (user, cleaned data) whose result is sent as JSON; it and its permission may be async."""

    name: str
    function: Callable[[Any, dict[str, Any]], Any]
    form: type[forms.Form]
    permission: Callable[[Any], bool]


class ActionRefused(RealtimeError):
    """A call is refused; ``fields`` has the errors of its arguments by the form's fields."""

    def __init__(self, code: Code, reason: str, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(code, reason, fields)
        self.code, self.reason, self.fields = code, reason, fields

    def __str__(self) -> str:
        return self.reason


actions: dict[str, Action] = {}


def action(
    name: str, *, form: type[forms.Form] = forms.Form, permission: Callable[[Any], bool] = is_staff
) -> Callable[[Callable[[Any, dict[str, Any]], Any]], Callable[[Any, dict[str, Any]], Any]]:
    """Declare an action: ``form`` validates its arguments, ``permission`` decides on a user; by default only staff.

    Raises: TypeError, if it stands above a function without a name. ValueError, for a name that is taken.
    """
    if not isinstance(name, str):
        raise TypeError('@action stands above a function without a name: write @action("rename")')

    def decorate(function: Callable[[Any, dict[str, Any]], Any]) -> Callable[[Any, dict[str, Any]], Any]:
        known = actions.get(name)
        if known is not None and not is_same(known.function, function):
            raise ValueError(f"two actions have the name {name!r}; give one of them another")
        actions[name] = Action(name, function, form, permission)
        return function

    return decorate


def perform(user: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Run an action in this thread and return its result.

    Raises: ActionRefused, and whatever the action raises.
    """
    found = actions.get(name)
    if found is None:
        raise ActionRefused(Code.NOT_FOUND, f"no action {name[:100]!r}")
    if not granted(found.permission(user), f"the permission of action {name!r}"):
        raise ActionRefused(Code.FORBIDDEN, f"you may not call {name!r}; sign in with an account that may")
    form = found.form(arguments)
    if not form.is_valid():
        fields = {field: [str(error) for error in errors] for field, errors in form.errors.items()}
        raise ActionRefused(Code.BAD_MESSAGE, f"{name!r} does not accept these arguments", fields)
    return result_of(found.function(user, form.cleaned_data))


class EchoForm(forms.Form):
    text = forms.CharField(max_length=1000, strip=False)


@action("echo", form=EchoForm, permission=everyone)
def echo(user: Any, data: dict[str, Any]) -> dict[str, str]:
    """Return the text: the simplest test of a connection in both directions."""
    return {"text": data["text"]}

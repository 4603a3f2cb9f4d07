"""What a page loads, and the rows of a topic in it: rendered by the server, kept current by the browser."""

import django
from django import template
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest
from django.urls import get_script_prefix
from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..delivery.claims import may_read
from ..delivery.paintings import paintings
from ..engine.errors import FeedOff
from ..feeds import registry
from ..rows.markup import WORDS
from ..runtime.left_out import left_out
from ..service import running_hub

register = template.Library()


@register.simple_tag(takes_context=True)
def live(context: template.Context, name: str, key: object = None, template: str = "") -> SafeString:
    """Render the rows of a topic, with their position, in an element that keeps them current.

    ``{% live "products" category.pk %}`` renders each row with the feed's row template. With
    ``template="shop/_table.html"`` that template gets the rendered rows as ``rows`` and puts them into an element
    marked ``data-rows``; an element marked ``data-empty`` is shown while there are none.
    A feed that is off, and a row template that renders something other than one element, are shown as a sentence.

    Raises: PermissionDenied, if the page's user may not read the topic: check this in the view.
            ImproperlyConfigured, if there is no such feed, or it has no row template.
            UnknownTopic, if the feed has no topic with this key.
    """
    if name in registry.refused or (name in registry and registry[name].error is not None):
        return _fault(str(FeedOff(name)))
    if name not in registry:
        known = ", ".join(sorted(feed.name for feed in registry)) or "none"
        raise ImproperlyConfigured(
            f"{{% live {name!r} %}}: no such feed; the live.py modules of the installed apps register: {known}"
        )
    feed = registry[name]
    if feed.template_name is None:
        raise ImproperlyConfigured(
            f"{{% live {name!r} %}}: its feed has no row template; give {type(feed).__name__} a template_name"
        )
    topic = feed.topic(key)
    feed, key = registry.find(topic)
    user = getattr(context.get("request"), "user", None) or context.get("user") or AnonymousUser()
    is_allowed = may_read(feed, user, key)
    painting = paintings.paint(topic, running_hub()) if is_allowed else None
    # Again after the rows were read: what closes the topic may be committed together with what it hides.
    if painting is None or (feed.rights_tables and not may_read(feed, user, key)):
        raise PermissionDenied(f"this page's user may not read {topic!r}; check can_subscribe in the view")
    # Each row's template has escaped its values.
    rows = SafeString(painting.html)
    if not painting.rows:
        rows = _fault(next((reason for reason in left_out.of_topic(topic).values() if WORDS in reason), ""))
    if template:
        assert context.template is not None  # Django sets it while a template renders
        with context.push(rows=rows, topic=topic):
            rows = context.template.engine.get_template(template).render(context)
    # The page sees by the number whether the browser has moved rows out, as it does in a table.
    return format_html(
        '<live-topic topic="{}" position="{}" rows="{}">\n{}\n</live-topic>',
        topic,
        str(painting.position),
        len(painting.rows),
        rows,
    )


def _fault(words: str) -> SafeString:
    """Return what a page shows in place of rows that it cannot have; nothing without words."""
    return format_html('<p class="realtime-fault" role="alert">{}</p>', words) if words else SafeString("")


@register.inclusion_tag("realtime/head.html", takes_context=True)
def realtime_head(context: template.Context, style: bool = True) -> dict[str, object]:
    """Render what the ``<head>`` of a page with live rows needs: the addresses, the style, the script.

    ``style=False`` leaves out ``live.css``, for a page whose own style has it. Under a Content-Security-Policy with
    nonces, of django-csp or of Django 6, the elements have the nonce of the request.
    """
    return {
        "path": live_path(),
        "session": live_session(context),
        "style": style,
        "nonce": _nonce(context.get("request")),
    }


def _nonce(request: HttpRequest | None) -> str:
    """Return the nonce of the request's Content-Security-Policy, empty if no middleware gives it one."""
    nonce = getattr(request, "csp_nonce", None)
    if nonce is None and request is not None and django.VERSION >= (6,):
        from django.middleware.csp import get_nonce

        nonce = get_nonce(request)
    return "" if nonce is None else str(nonce)


@register.simple_tag(takes_context=True)
def live_session(context: template.Context) -> str:
    """Render a name for the page's session that does not reveal its key; empty if the page has no session.

    With ``<meta name="realtime-session" content="{% live_session %}">`` the tabs of one session share a connection,
    and a page loaded after a sign-in does not use the connection of a page loaded before it.
    """
    session = getattr(context.get("request"), "session", None)
    key = getattr(session, "session_key", None)
    if session is not None:
        session.accessed = True  # Django then sends "Vary: Cookie": the page is of this session only
    return salted_hmac("realtime.tabs", key).hexdigest()[:20] if key else ""


@register.simple_tag
def live_path() -> str:
    """Render the path of the WebSocket, below the deployment's script prefix: ``<meta name="realtime-path">``."""
    return f"{get_script_prefix()}realtime/ws/"

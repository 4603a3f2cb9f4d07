"""``{% live %}``: a topic's rows in a page, painted by the server and followed by the browser."""

from django import template
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.template.loader import get_template
from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..feeds import registry
from ..publishing.positions import read_topic

register = template.Library()


@register.simple_tag(takes_context=True)
def live(context: template.Context, name: str, key: object = None, template: str = "") -> SafeString:
    """Render the rows of a topic with the position they are as of, in an element that stays current.

    ``{% live "products" category.pk %}`` paints the rows, each with the feed's row template;
    with ``template="shop/_table.html"`` that template gets ``rows`` and puts them into an element
    marked ``data-rows``; one marked ``data-empty`` shows while there are none.

    Raises: PermissionDenied, when the page's user may not read the topic: check before you render.
    """
    if name not in registry:
        known = ", ".join(sorted(feed.name for feed in registry)) or "none"
        raise ImproperlyConfigured(
            f"{{% live {name!r} %}}: no such feed; registered in live.py modules: {known}"
        )
    feed = registry[name]
    if feed.template_name is None:
        raise ImproperlyConfigured(f"{{% live {name!r} %}}: give {type(feed).__name__} a template_name")
    topic = feed.topic(key)
    feed, key = registry.find(topic)
    user = getattr(context.get("request"), "user", None) or context.get("user") or AnonymousUser()
    if not feed.can_subscribe(user, key):
        raise PermissionDenied(f"this page's user may not read {topic!r}")
    reading = read_topic(topic)
    # Each row was escaped by its template.
    rows = SafeString("\n".join(str(row.html) for row in reading.rows))
    if template:
        with context.push(rows=rows, topic=topic):
            rows = SafeString(get_template(template).template.render(context))
    return format_html(
        '<live-topic topic="{}" position="{}">\n{}\n</live-topic>', topic, str(reading.position), rows
    )


@register.simple_tag(takes_context=True)
def live_session(context: template.Context) -> str:
    """Render a name for the page's session that tells nobody which it is; empty for a page without one.

    Put it into ``<meta name="realtime-session" content="{% live_session %}">``: tabs of one session share a
    connection then, and a page loaded after a sign-in does not use the one of before.
    """
    session = getattr(context.get("request"), "session", None)
    key = getattr(session, "session_key", None)
    if session is not None:
        session.accessed = True  # no other session may be answered with this page: Django varies it by cookie
    return salted_hmac("realtime.tabs", key).hexdigest()[:20] if key else ""

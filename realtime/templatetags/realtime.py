"""The template tags: the page client, rows of topics, and blocks that are computed from topics."""

import asyncio
import json
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import django
import msgspec
from django import template
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SynchronousOnlyOperation
from django.db import models
from django.forms.utils import flatatt
from django.http import HttpRequest
from django.template import TemplateSyntaxError
from django.urls import get_script_prefix
from django.utils.crypto import salted_hmac
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from .. import presence
from ..delivery.first_paint import first_paints
from ..delivery.rights_check import may_read
from ..engine.errors import FeedOff, UnknownTopic
from ..feeds import Feed, registry
from ..middleware import LiveBlocksMiddleware
from ..publishing.positions import read_topic
from ..rows.markup import WORDS
from ..runtime.early_script import early_script
from ..runtime.left_out import left_out
from ..runtime.script_texts import script_texts
from ..service import running_hub

register = template.Library()

PARENTS = {
    "tr": ["tbody", "thead", "tfoot"],
    "td": ["tr"],
    "th": ["tr"],
    "tbody": ["table"],
    "option": ["select", "optgroup", "datalist"],
    "optgroup": ["select"],
}
"""The parents in which a browser accepts an element, for elements that it does not accept everywhere."""
CHILDREN = {
    "table": ["tbody", "thead", "tfoot", "caption", "colgroup", "tr"],
    "tbody": ["tr"],
    "thead": ["tr"],
    "tfoot": ["tr"],
    "tr": ["td", "th"],
    "colgroup": ["col"],
}
"""The elements that a browser accepts in one, for elements out of which it moves all others."""


@register.simple_tag(takes_context=True)
def live(
    context: template.Context,
    name: str,
    key: object = None,
    template: str = "",
    tag: str = "",
    **attributes: Any,
) -> SafeString:
    """Render the rows of a topic, with their position, in an element that keeps them current.

    ``{% live "products" category.pk %}`` renders each row with the feed's row template. With
    ``template="shop/_table.html"`` that template gets the rendered rows as ``rows`` and puts them into an element
    marked ``data-rows``; an element marked ``data-empty`` is shown while there are none.
    With ``tag="tbody"`` the element around the rows is a ``<tbody>``, and other arguments are attributes of it:
    ``{% live "products" tag="select" name="product" %}``; ``_`` in their names stands for ``-``.
    A feed that is off, and a row template that renders something other than one element, are shown as a sentence.

    Raises: PermissionDenied, if the page's user may not read the topic: check this in the view.
            ImproperlyConfigured, if there is no such feed, or it has no row template.
            UnknownTopic, if the feed has no topic with this key.
    """
    _check_thread("live")
    if attributes and not tag:
        raise TemplateSyntaxError(
            f'{{% live %}} got {", ".join(attributes)}: attributes of an element that it renders with tag="…"'
        )
    if name in registry.refused or (name in registry and registry[name].error is not None):
        return _fault(str(FeedOff(name)))
    _check_feed("live", name)
    feed = registry[name]
    if feed.template_name is None:
        raise ImproperlyConfigured(
            f"{{% live {name!r} %}}: its feed has no row template; give {type(feed).__name__} a template_name"
        )
    topic, key = _topic("live", feed, key)
    user = _user(context)
    is_allowed = may_read(feed, user, key)
    first_paint = first_paints.paint(topic, running_hub()) if is_allowed else None
    # Checked again after the rows were read: the change that ends the right may be committed together with rows that it
    # hides.
    if first_paint is None or (feed.rights_tables and not may_read(feed, user, key)):
        raise _refused(feed, topic)
    # Each row's template has escaped its values.
    rows = SafeString(first_paint.html)
    if not first_paint.rows:
        reasons = left_out.of_topic(topic).values()
        rows = _fault(next((reason for reason in reasons if WORDS in reason or settings.DEBUG), ""))
    misplaced = _misplaced(name, first_paint.html, tag) if tag and not template else ""
    if misplaced:
        return _fault(misplaced)
    if template:
        assert context.template is not None  # Django sets it while a template renders
        with context.push(rows=rows, topic=topic):
            rows = context.template.engine.get_template(template).render(context)
    # By this number the page finds whether the browser has moved rows out, as browsers do in a table.
    ours = {"topic": topic, "position": str(first_paint.position), "rows": len(first_paint.rows)}
    prefix = "data-realtime-" if tag else ""
    return _element(tag or "live-topic", ours, prefix, attributes, format_html("\n{}\n", rows))


@register.simple_block_tag(takes_context=True)
def live_block(
    context: template.Context,
    content: str,
    name: str,
    topics: str | Iterable[str],
    tag: str = "div",
    **attributes: Any,
) -> SafeString:
    """Render a part of a page that is fetched again, with the page, when one of its topics changes.

    ``{% live_block "summary" topics="orders stock" %}…{% endlive_block %}``: any markup and any query, of this page,
    user and language. ``topics`` are separated by spaces, or a list. Other arguments are attributes of its element.

    Raises: PermissionDenied, if the page's user may not read a topic. ImproperlyConfigured, if there is no such feed.
            TemplateSyntaxError, if it has no topics, or is inside of another one.
    """
    names = topics.split() if isinstance(topics, str) else list(topics or ())
    if not names:
        raise TemplateSyntaxError(
            f'{{% live_block {name!r} %}} has no topics: name those that it follows, as in topics="orders stock"; a '
            "variable must be in the page's context"
        )
    if ' data-realtime-block="' in content:
        raise TemplateSyntaxError(
            f"{{% live_block {name!r} %}} has another live block in it: end it before the other one begins; "
            "blocks that change together cost one request, however many they are"
        )
    request = context.get("request")
    for topic in names:
        feed, _, key = topic.partition(".")
        _check_feed("live_block", feed)
        if feed in registry.refused or registry[feed].error is not None:
            continue  # its subscription is refused with an explanation
        found = registry[feed]
        if not may_read(found, _user(context), _found("live_block", found, topic, key or None)):
            raise _refused(found, topic)
    LiveBlocksMiddleware.is_needed = True
    # The answer to a POST cannot be fetched again: a form in it would lose its errors and the sent values.
    is_kept = getattr(request, "method", "GET") not in ("GET", "HEAD")
    position = getattr(request, "realtime_position", None)
    ours = {"block": name, "topics": None if is_kept else " ".join(names), "position": position}
    return _element(tag, ours, "data-realtime-", attributes, SafeString(content))


@register.simple_tag(takes_context=True)
def live_rows(context: template.Context, name: str, key: object = None) -> SafeString:
    """Put the rows of a topic into the page as JSON, with their position: scripts that subscribe to it begin with them.

    Raises: as ``{% live %}``; but its feed needs no row template.
    """
    _check_thread("live_rows")
    _check_feed("live_rows", name)
    if name in registry.refused or registry[name].error is not None:
        return SafeString("")
    feed = registry[name]
    topic, key = _topic("live_rows", feed, key)
    is_allowed = may_read(feed, _user(context), key)
    reading = read_topic(topic) if is_allowed else None
    if reading is None or (feed.rights_tables and not may_read(feed, _user(context), key)):
        raise _refused(feed, topic)
    rows = msgspec.json.encode([row.narrowed("rows") for row in reading.rows]).decode()
    return format_html(
        '<script type="application/json" data-realtime-rows="{}" data-realtime-position="{}">{}</script>',
        topic,
        str(reading.position),
        SafeString(rows.translate(_IN_SCRIPT)),
    )


_IN_SCRIPT = {ord(character): f"\\u{ord(character):04X}" for character in "<>&"}
"""As Django's ``json_script``: nothing in a row ends the script."""


@register.simple_tag(takes_context=True)
def live_viewers(
    context: template.Context, name: str, key: object = None, show: str = "number", **attributes: Any
) -> SafeString:
    """Render the number of viewers of a topic whose feed has ``presence``, in an element that keeps it current.

    ``{% live_viewers "products" category.pk %}``; ``show="names"`` renders their names, separated by commas. Other
    arguments are attributes of the element.

    Raises: PermissionDenied, if the page's user may not read the topic. ImproperlyConfigured, if its feed has no such
            presence. UnknownTopic.
    """
    _check_thread("live_viewers")
    _check_feed("live_viewers", name)
    if show not in ("number", "names"):
        raise TemplateSyntaxError(f'{{% live_viewers %}} got show="{show}": use "number" or "names"')
    if name in registry.refused or registry[name].error is not None:
        return _fault(str(FeedOff(name)))
    if registry[name].presence not in (("names",) if show == "names" else ("count", "names")):
        raise ImproperlyConfigured(
            f'{{% live_viewers {name!r} %}}: write presence = "{"names" if show == "names" else "count"}" in '
            f"{type(registry[name]).__name__}"
        )
    feed = registry[name]
    topic, key = _topic("live_viewers", feed, key)
    if not may_read(feed, _user(context), key):
        raise _refused(feed, topic)
    shown = ", ".join(presence.names(topic)) if show == "names" else str(presence.viewers(topic))
    ours = {"topic": topic, "show": None if show == "number" else show}
    return _element("live-viewers", ours, "", attributes, format_html("{}", shown))


@register.filter
def topic(feed: str, key: object) -> str:
    """Return the topic of a feed for a key: ``topics="orders"|topic:customer.pk``."""
    _check_feed("… |topic", feed)
    if feed in registry.refused:
        return f"{feed}.{key}"  # its subscription is refused with an explanation
    _check_key("… |topic", registry[feed], key)
    return registry[feed].topic(key)


def _check_feed(tag: str, name: str) -> None:
    if name not in registry and name not in registry.refused:
        own = {feed.name for feed in registry if not type(feed).__module__.startswith("realtime.operators.")}
        known = ", ".join(sorted(own)) or (
            "none; write @register(…) above the class of a feed, in the live.py of an app of INSTALLED_APPS"
        )
        raise ImproperlyConfigured(
            f"{{% {tag} {name!r} %}}: no such feed; the live.py modules of the installed apps register: {known}"
            f"{_meant(tag, name, own)}"
        )


def _meant(tag: str, name: str, known: Iterable[str]) -> str:
    """Return what to write in place of a name that is no feed's; an empty string if that is not known."""
    if not name:
        return ". The name is a text in quotes, or a variable of the page's context"
    feed, dot, key = name.partition(".")
    if dot and feed in known:
        return f". {name!r} is a topic: write {{% {tag} {feed!r} {key} %}}, the feed and the key"
    classes = {type(each).__name__: each.name for each in registry}
    near = classes.get(name) or next(iter(get_close_matches(name, known, 1)), None)
    return f". Do you mean {near!r}?" if near else ""


def _check_thread(tag: str) -> None:
    """Raises: SynchronousOnlyOperation, in a coroutine, with the line to write: Django's own words have none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        raise SynchronousOnlyOperation(
            f"{{% {tag} %}} reads the database, which an async view may not do while it renders: write "
            "`return await sync_to_async(render)(request, …)`, with sync_to_async of asgiref.sync"
        )


def _topic(tag: str, feed: Feed, key: object) -> tuple[str, Any]:
    """Return the name of a feed's topic, and its key as ``can_subscribe`` gets it."""
    _check_key(tag, feed, key)
    topic = feed.topic(key)
    return topic, _found(tag, feed, topic, key)


def _found(tag: str, feed: Feed, topic: str, key: object) -> Any:
    """Return the key of a feed's topic as ``can_subscribe`` gets it, of one that a template names by ``key``.

    Raises: UnknownTopic, which says what is wrong with the key.
    """
    try:
        return registry.find(topic)[1]
    except UnknownTopic:
        wrong = f"{key!r} is no value of {feed.topic_field}"
        if key is None:
            wrong = f"the feed {feed.name!r} has a topic for each {feed.topic_field}: name a key"
        elif key == "":
            wrong = "the key is empty: the page's context has no such variable"
        elif feed.topic_field is None:
            wrong = f"the feed {feed.name!r} has one topic: leave out the key"
        raise UnknownTopic(topic, f"{{% {tag} %}}: {wrong}") from None


def _check_key(tag: str, feed: Feed, key: object) -> None:
    if isinstance(key, models.Model):
        raise ImproperlyConfigured(
            f"{{% {tag} {feed.name!r} … %}} got {key!r} as the key, which is an instance: name its primary key, as in "
            f"{key._meta.model_name}.pk"
        )
    if feed.topic_field is None and key is not None:
        raise ImproperlyConfigured(
            f"{{% {tag} {feed.name!r} {key!r} %}}: the feed has one topic with all of its rows; leave out the key, or "
            f"give {type(feed).__name__} the topic_field by whose values its rows are in topics of their own"
        )


def _refused(feed: Feed, topic: str) -> PermissionDenied:
    rule = "check can_subscribe in the view"
    if {type(feed).can_subscribe, type(feed).visible_topics} == {Feed.can_subscribe, Feed.visible_topics}:
        rule = f"{type(feed).__name__} declares no can_subscribe, and without it only staff may"
    return PermissionDenied(f"this page's user may not read {topic!r}; {rule}")


def _user(context: template.Context) -> Any:
    return getattr(context.get("request"), "user", None) or context.get("user") or AnonymousUser()


def _misplaced(name: str, html: str, tag: str) -> str:
    """Return why a browser would move the rows out of the element ``tag``; an empty string if it would not."""
    found = re.match(r"\s*<(\w+)", html)
    row = found[1].lower() if found else ""
    if row and tag in CHILDREN and row not in CHILDREN[tag]:
        return f"A row of {name!r} is a <{row}>, and browsers accept only <{CHILDREN[tag][0]}> in <{tag}>."
    if tag in PARENTS.get(row, [tag]):
        return ""
    return (
        f"A row of {name!r} is a <{row}>, which browsers accept in <{PARENTS[row][0]}> only: write "
        f'{{% live "{name}" … tag="{PARENTS[row][0]}" %}}, or put the element around the rows into a template.'
    )


def _element(
    tag: str, ours: dict[str, Any], prefix: str, attributes: dict[str, Any], content: SafeString
) -> SafeString:
    given = {name.replace("_", "-"): value for name, value in attributes.items()}
    own = [(prefix + name, value) for name, value in ours.items() if value is not None]
    named = format_html_join("", ' {}="{}"', own) + flatatt(given)
    return format_html("<{}{}>{}</{}>", tag, named, content, tag)


def _fault(words: str) -> SafeString:
    """Return the sentence that a page shows in place of rows that cannot be shown; "" without a text."""
    return format_html('<p class="realtime-fault" role="alert">{}</p>', words) if words else SafeString("")


@register.simple_tag
def realtime_texts(app: str = "realtime") -> SafeString:
    """Put the translations of an app's scripts into the page, as ``texts.js`` reads them; nothing where there are none.

    They are those of the domain ``djangojs``. ``{% realtime_head %}`` renders those of the page client.
    """
    texts = script_texts(app, get_language() or "")
    if not texts:
        return SafeString("")
    content = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).translate(_IN_SCRIPT)
    return format_html('<script type="application/json" data-realtime-texts>{}</script>', SafeString(content))


@register.inclusion_tag("realtime/head.html", takes_context=True)
def realtime_head(context: template.Context, style: bool = True, early: bool = False) -> dict[str, object]:
    """Render the tags for the ``<head>`` of a page with live rows: addresses, style, script.

    ``style=False`` leaves out ``live.css``, for a page whose own style has it. ``early=True`` adds an inline script
    that opens the connection while the client is still being loaded. Under a Content-Security-Policy with nonces, of
    django-csp or of Django 6, the elements have the nonce of the request.
    """
    return {
        "early": SafeString(early_script()) if early else "",
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
        session.accessed = True  # Django then sends "Vary: Cookie": the page is for this session only
    return salted_hmac("realtime.tabs", key).hexdigest()[:20] if key else ""


@register.simple_tag
def live_path() -> str:
    """Render the path of the WebSocket, below the deployment's script prefix: ``<meta name="realtime-path">``."""
    return f"{get_script_prefix()}realtime/ws/"

"""The public boards as RSS, Atom and JSON feeds: their notices, and the entries that changed last.

A private board has none, also for staff: feed readers send no cookies, and caches on the way keep the answers.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib.syndication.views import Feed
from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import feedgenerator, translation
from django.views.decorators.http import conditional_page

from ..due import IS_SHOWN
from ..exchange.cells import plain
from ..exchange.clock import time_in_words
from ..models import Board, Entry, Notice

MAX_ITEMS = 100
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
"""The time of the last change of an empty board: a constant, so that a feed reader's copy stays valid."""


class Steady(feedgenerator.SyndicationFeed):
    """A feed that is the same as long as its items are."""

    def latest_post_date(self) -> datetime:
        return super().latest_post_date() if self.items else NEVER


class Rss(Steady, feedgenerator.Rss201rev2Feed):
    """RSS 2.0."""


class Atom(Steady, feedgenerator.Atom1Feed):
    """Atom 1.0."""


class Json(Steady):
    """JSON Feed 1.1. Source: www.jsonfeed.org/version/1.1."""

    content_type = "application/feed+json; charset=utf-8"

    def write(self, outfile: Any, encoding: str) -> None:
        """Write the feed. JSON is in UTF-8."""
        items = [
            {
                "id": item["unique_id"],
                "url": item["link"],
                "title": item["title"],
                "content_text": item["description"],
                "date_published": item["pubdate"].isoformat(),
            }
            for item in self.items
        ]
        content = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": self.feed["title"],
            "home_page_url": self.feed["link"],
            "feed_url": self.feed["feed_url"],
            "description": self.feed["description"],
            "items": items,
        }
        outfile.write(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Item:
    """A notice or an entry as a feed has it."""

    link: str
    title: str
    text: str
    at: datetime

    @classmethod
    def of_entry(cls, entry: Entry, board: Board) -> "Item":
        at = time_in_words(entry.at, board.zone) if entry.at else ""
        value = " ".join(filter(None, [at, entry.value, entry.unit]))
        title = ": ".join(filter(None, [entry.label, value]))
        status = f" ({board.word_of(entry.status)})" if entry.status else ""
        address = f"{board.get_absolute_url()}#entry-{entry.pk}"
        return cls(address, plain(title + status), plain(entry.note), entry.updated)

    @classmethod
    def of_notice(cls, notice: Notice, board: Board) -> "Item":
        return cls(
            f"{board.get_absolute_url()}#notice-{notice.pk}",
            plain(f"{notice.get_level_display()}: {notice.text}"),
            "",
            notice.shows_from,
        )


if TYPE_CHECKING:  # Django's own class takes no type argument when the program runs
    ItemFeed: TypeAlias = Feed[Item, Board]
else:
    ItemFeed = Feed


class BoardItems(ItemFeed):
    """The entries of a board, in any of the formats."""

    item_guid_is_permalink = False

    def __init__(self, kind: type[feedgenerator.SyndicationFeed]) -> None:
        self.feed_type = kind

    def get_object(self, request: HttpRequest, slug: str) -> Board:
        return get_object_or_404(Board, slug=slug, is_public=True)

    def get_feed(self, obj: Board, request: HttpRequest) -> feedgenerator.SyndicationFeed:
        """Return the feed in the language of the board: it is the same for all readers."""
        with translation.override(obj.language_code):
            return super().get_feed(obj, request)

    def title(self, board: Board) -> str:
        return plain(board.title)

    def description(self, board: Board) -> str:
        return plain(board.description)

    def link(self, board: Board) -> str:
        return board.get_absolute_url()

    def items(self, board: Board) -> Iterable[Item]:
        """Return the notices that are shown, then the visible entries, those that changed last first."""
        entries = board.entries.filter(IS_SHOWN).order_by("-updated", "-pk")[:MAX_ITEMS]
        notices = board.notices.filter(is_shown=True)
        prefetch_related_objects([board], "statuses")
        return [
            *(Item.of_notice(notice, board) for notice in notices),
            *(Item.of_entry(entry, board) for entry in entries),
        ]

    def item_title(self, item: Item) -> str:
        return item.title

    def item_description(self, item: Item) -> str:
        return item.text

    def item_link(self, item: Item) -> str:
        return item.link

    def item_pubdate(self, item: Item) -> datetime:
        return item.at

    def item_updateddate(self, item: Item) -> datetime:
        return item.at


KINDS: dict[str, type[feedgenerator.SyndicationFeed]] = {"rss": Rss, "atom": Atom, "json": Json}


@conditional_page
def syndicated(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Return the feed of a public board; nothing but 304 to a reader whose ``If-None-Match`` has the tag of it."""
    if kind not in KINDS:
        raise Http404
    response = BoardItems(KINDS[kind])(request, slug=slug)
    # A row that is deleted leaves it as it was: only the tag, which Django makes of the content, is exact.
    del response["Last-Modified"]
    response["Cache-Control"] = "no-cache"
    return response

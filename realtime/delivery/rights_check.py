"""Checks of rights: calls the methods of feeds that decide whether visitors may follow topics.

The reader threads judge many rights at once: one query reads the sessions of many visitors, another one their users,
and a feed is called once for all rights that it can answer together.
"""

import math
import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db import connections

from ..access.visitors import Visitor, load_users
from ..engine.position import Position
from ..feeds import Feed, registry
from ..publishing import log
from ..publishing.positions import probe
from ..rows.surroundings import pinned_database
from ..rows.visibility import answers_together, may_subscribe, rights_key, visible
from ..runtime.failures import as_exception
from .subscriber import Subscriber

VISITORS_AT_ONCE = 100
"""How many visitors a check of all subscriptions loads at once."""
USER_SECONDS = 1.0
"""Maximum age of a loaded user when feeds check its rights."""

Right = tuple[Visitor, str]
"""A visitor, and a topic that one of its connections follows or requests."""


class Verdict(NamedTuple):
    """Whether a right holds, in every snapshot from ``as_of`` up to the check.

    Shape: ``user`` is the primary key of the visitor's user, None if it is not signed in. ``heads`` are the heads after
    the check, including the topic's; None for a check of all subscriptions.
    """

    holds: bool
    user: Hashable = None
    as_of: Position = Position("", 0)
    heads: log.Heads | None = None


class RightsToCheck:
    """Rights that wait to be judged, by visitor; the users of ``at_once`` visitors are loaded together.

    ``users``: primary keys; the rights of other signed-in users are not judged. None judges all.
    """

    def __init__(
        self,
        followers: Iterable[Subscriber] = (),
        users: Collection[str] | None = None,
        at_once: int = VISITORS_AT_ONCE,
    ) -> None:
        self._only = users
        self._waiting: dict[Visitor, set[str]] = {}
        self._users: dict[Visitor, Any] = {}
        self._loaded_at, self._at_once = -math.inf, at_once
        for follower in followers:
            for topic in follower.topics:
                self.add(follower.visitor, topic)

    def add(self, visitor: Visitor, topic: str) -> None:
        self._waiting.setdefault(visitor, set()).add(topic)

    def concern(self, user: Any) -> bool:
        return self._only is None or user.pk is None or str(user.pk) in self._only

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> tuple[Visitor, Any, set[str]]:
        """Remove the rights of a visitor; return it, its user as of ``USER_SECONDS`` ago at most, and the topics."""
        if not self._users or time.monotonic() - self._loaded_at > USER_SECONDS:
            self._loaded_at = time.monotonic()
            self._users = load_users(list(islice(self._waiting, self._at_once)))
        visitor, user = self._users.popitem()
        return visitor, user, self._waiting.pop(visitor)


def judge(rights: Collection[Right]) -> dict[Right, Verdict | Exception]:
    """Return for each right True, False, or the error that prevented an answer.

    One query reads all sessions and one all users; then each feed is called once for each user, or once for each user
    and topic; finally the log is asked for the topics' heads.
    """
    waiting = RightsToCheck(at_once=len(rights))
    for visitor, topic in rights:
        waiting.add(visitor, topic)
    verdicts = judge_some(waiting, math.inf)
    heads = log.heads({topic for _, topic in rights})
    return {
        right: verdict._replace(heads=heads) if isinstance(verdict, Verdict) else verdict
        for right, verdict in verdicts.items()
    }


def judge_some(rights: RightsToCheck, seconds: float) -> dict[Right, Verdict | Exception]:
    """Judge rights, remove them and return the verdicts.

    Shape: at least the rights of one visitor; no further visitor's once the time is over, which one answer may exceed.
    """
    ends = time.monotonic() + seconds
    moment = probe()  # first: each query below sees this snapshot or a later one
    as_of = Position(moment.epoch, moment.offset)
    answers = _Answers()
    verdicts: dict[Right, Verdict | Exception] = {}
    with pinned_database():
        while rights:
            visitor, user, topics = rights.take()
            for topic, answer in answers.of(user, topics if rights.concern(user) else ()).items():
                if isinstance(answer, Exception):
                    verdicts[visitor, topic] = answer
                else:
                    verdicts[visitor, topic] = Verdict(answer, user.pk, as_of)
            if time.monotonic() >= ends:
                break
    if any(isinstance(verdict, DatabaseError) for verdict in verdicts.values()):
        connections.close_all()  # they may be the cause: the next query opens new ones
    return verdicts


def may_read(feed: Feed, user: Any, key: Any) -> bool:
    """Return whether a user may read a topic.

    Raises: whatever the feed raises; BadAnswer.
    """
    if answers_together(feed, Feed):
        return key in visible(feed, user, [key])
    return may_subscribe(feed, user, key)


Answers = dict[str, bool | Exception]
"""By topic; an error is one that prevented an answer."""


class _Answers:
    """The answers of feeds in one batch. Users with the same rights share answers, as all anonymous visitors do."""

    def __init__(self) -> None:
        self._topics: dict[str, tuple[Feed, Any] | Exception] = {}
        self._known: dict[tuple[str, Hashable], Answers] = defaultdict(dict)

    def of(self, user: Any, topics: Iterable[str]) -> Answers:
        """Return for each topic whether a user may read it."""
        answers: Answers = {}
        by_feed: dict[Feed, dict[str, Any]] = defaultdict(dict)
        for topic in topics:
            found = self._find(topic)
            if isinstance(found, Exception):
                answers[topic] = found
            else:
                feed, by_feed[feed][topic] = found
        for feed, keys in by_feed.items():
            answers |= self._of_feed(feed, user, keys)
        return answers

    def _of_feed(self, feed: Feed, user: Any, keys: Mapping[str, Any]) -> Answers:
        try:
            known = self._known[feed.name, rights_key(feed, user, Feed)]
        except BaseException as error:
            return dict.fromkeys(keys, as_exception(error))
        if unknown := {topic: key for topic, key in keys.items() if topic not in known}:
            known |= _ask(feed, user, unknown)
        return {topic: known[topic] for topic in keys}

    def _find(self, topic: str) -> tuple[Feed, Any] | Exception:
        if topic not in self._topics:
            try:
                self._topics[topic] = registry.find(topic)
            except BaseException as error:
                self._topics[topic] = as_exception(error)
        return self._topics[topic]


def _ask(feed: Feed, user: Any, keys: Mapping[str, Any]) -> Answers:
    """Return a feed's answers for topics with these keys."""
    if answers_together(feed, Feed):
        try:
            found = visible(feed, user, list(keys.values()))
        except BaseException as error:
            return dict.fromkeys(keys, as_exception(error))
        return {topic: key in found for topic, key in keys.items()}
    answers: Answers = {}
    for topic, key in keys.items():
        try:
            answers[topic] = may_subscribe(feed, user, key)
        except BaseException as error:
            answers[topic] = as_exception(error)
    return answers

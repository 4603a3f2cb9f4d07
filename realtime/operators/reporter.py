"""The reporter of a process: looks for instructions of operators, carries them out, and reports while they watch."""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from importlib import import_module
from itertools import islice

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from ..access.limits import Places
from ..access.visitors import Visitor
from ..conf import get_conf
from ..delivery.hub import Hub
from ..delivery.subscriber import Subscriber, for_each
from ..engine.codes import Code
from ..engine.session import Ending
from ..models import Instruction
from ..runtime.threads import DatabaseThreads, Stopping
from . import figures, instructions, reports
from .instructions import WATCH_SECONDS, Given

logger = logging.getLogger("realtime.operators")

LOOK_SECONDS = 2.0
"""How often a process looks for instructions, and reports while an operator watches."""
FORGET_SECONDS = 60.0
"""How often a process looks for reports that others have left behind, whether an operator watches or not."""
ENDED_AT_ONCE = 100
"""How many connections are ended before the event loop may do other work."""
END_SECONDS = 1.0
"""How long a process that stops tries to delete its report, which others delete otherwise."""
SIGNED_OUT = "an operator has ended this session; sign in again"
CLOSED = "an operator has closed this connection; it may be opened again"


class Reporter:
    """The reporter of one process."""

    def __init__(self, process: str, hub: Hub, places: Places, threads: DatabaseThreads) -> None:
        """``process`` is its name in the table of processes."""
        self._process, self._hub, self._places, self._threads = process, hub, places, threads
        self._begun_at = time.monotonic()
        self._samples = figures.Samples()
        self._seen: set[int] | None = None  # numbers of valid instructions; None before the first look
        self._has_reported = False
        self._storing = asyncio.Lock()  # a report is deleted only when none is on its way to the database
        self._is_stopping = False
        self._forget_due = 0.0

    async def look(self) -> None:
        """Wait for the next turn, then carry out new instructions, and report if an operator watches."""
        await asyncio.sleep(LOOK_SECONDS)
        self._samples.take(self._hub.behind_seconds)
        try:
            is_watched = await self._carry_out_what_is_new()
            if is_watched:
                await self._report()
            else:
                await self._discard()
            if time.monotonic() >= self._forget_due:
                await self._threads.run(reports.forget)
                self._forget_due = time.monotonic() + FORGET_SECONDS
        except (DatabaseError, InterfaceError) as error:
            logger.debug(
                "instructions cannot be read: %r", error
            )  # other tasks log that the database is away

    async def stop(self) -> None:
        """Store no further report, then delete the last one."""
        self._is_stopping = True
        with contextlib.suppress(TimeoutError, DatabaseError, InterfaceError, Stopping):
            async with asyncio.timeout(END_SECONDS):
                await self._discard()

    # ------------------------------------------------------------ reports

    async def _report(self) -> None:
        states = await figures.states_of(self._hub.connections)
        transports = Counter(str(state.transport) for _, state in states)
        readers = await self._threads.run(figures.readers_of, figures.slowest(states))
        report = figures.report_of(
            self._hub,
            self._places,
            self._samples,
            transports,
            readers,
            time.monotonic() - self._begun_at,
        )
        async with self._storing:
            if not self._is_stopping:
                self._has_reported = True  # also if it is stored and the answer is lost
                await self._threads.run(reports.store, self._process, report)

    async def _discard(self) -> None:
        async with self._storing:
            if self._has_reported:
                await self._threads.run(reports.discard, self._process)
                self._has_reported = False

    # ------------------------------------------------------------ instructions

    async def _carry_out_what_is_new(self) -> bool:
        """Carry out the instructions that this process has not carried out; return whether an operator watches.

        Those from before its first look are not for it: its connections have come later. One that fails is tried
        again at the next look, for as long as it is valid; the others do not wait for it.
        """
        valid = await self._threads.run(instructions.valid)
        numbers = {given.number for given in valid}
        self._seen = numbers if self._seen is None else self._seen & numbers
        for given in valid:
            if given.number not in self._seen and given.process in ("", self._process):
                try:
                    await self._carry_out(given)
                except Exception as error:
                    logger.error(
                        "an operator's instruction has failed and is tried again while it is valid: %s %s: %r",
                        given.kind,
                        given.target,
                        error,
                    )
                else:
                    self._seen.add(given.number)
        return any(
            given.kind == Instruction.Kind.WATCH and given.age_seconds < WATCH_SECONDS for given in valid
        )

    async def _carry_out(self, given: Given) -> None:
        match given.kind:
            case Instruction.Kind.CLOSE | Instruction.Kind.RELOAD:
                is_reload = given.kind == Instruction.Kind.RELOAD
                chosen = await self._chosen(given.target)
                await _end_each(chosen, lambda: _ending(is_reload, is_one=bool(given.target)))
            case Instruction.Kind.SIGN_OUT:
                chosen = await self._sign_out(given.target)
            case Instruction.Kind.READ:
                self._hub.read_anew(given.target)
                chosen = []
            case _:
                return
        logger.info(
            "an operator's instruction is carried out: %s %s, %d connections",
            given.kind,
            given.target,
            len(chosen),
        )

    async def _chosen(self, name: str) -> list[Subscriber]:
        """Return the connection with this name; all, polls too, for an empty one."""
        connections = self._hub.connections
        if not name:
            return connections
        return [one for one, state in await figures.states_of(connections) if state.name == name]

    async def _sign_out(self, user: str) -> list[Subscriber]:
        """End the sessions that connections of a user have, then these connections; return them."""
        connections = self._hub.connections
        visitors = {one.visitor for one in connections if one.visitor != Visitor()}
        found = await self._threads.run(figures.users_of, visitors)
        theirs = {visitor for visitor, key in found.items() if key == user}
        await self._threads.run(_end_sessions, {visitor.session for visitor in theirs if visitor.session})
        chosen = [one for one in self._hub.connections if one.visitor in theirs]
        await _end_each(chosen, lambda: Ending(Code.SIGNED_OUT, SIGNED_OUT))
        return chosen


async def _end_each(chosen: Collection[Subscriber], ending: Callable[[], Ending]) -> None:
    """End connections, with turns for the event loop in between."""
    waiting = iter(chosen)
    while some := list(islice(waiting, ENDED_AT_ONCE)):
        for_each(some, lambda one: one.end(ending()))
        await asyncio.sleep(0)


def _ending(is_reload: bool, *, is_one: bool) -> Ending:
    """Return the ending of a connection; of many each has a delay of its own, so that they do not return together."""
    delay = 0.0 if is_one else round(random.uniform(0, get_conf().drain_seconds), 1)
    return Ending(Code.CLOSED, CLOSED, delay, is_reload)


def _end_sessions(keys: Collection[str]) -> None:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for key in keys:
        store(key).delete()

"""The promise of the engine: whatever happens on the way, a client ends with the source's rows.

A model source, its log, a hub's topic and clients, all pure. Hypothesis chooses what happens to them:
changes, transactions, messages lost and doubled, reconnects, hubs that start anew, pruning, restores.
After every message a client's rows must be the source exactly as of its position.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from realtime.engine import messages
from realtime.engine.errors import Gap
from realtime.engine.messages import Format, Row
from realtime.engine.position import Position
from realtime.engine.session import Session
from realtime.engine.topic import Topic
from tests.support.limits import default_limits
from tests.support.replica import Replica

KEYS = st.sampled_from("abcdefgh")
FORMATS = st.sampled_from(["rows", "html", "rows+signal", "html+signal"])


def to_row(key: str, number: int) -> Row:
    return Row(key, f"{number % 5}{key}", msgspec.Raw(msgspec.json.encode({"n": number})), f"<p>{number}</p>")


class Source:
    """Rows with their whole history, and the log that a sequencer writes."""

    def __init__(self) -> None:
        self.epoch = "e0"
        self.rows: dict[str, int] = {}
        self.offset = 1
        self.history: dict[tuple[str, int], dict[str, int]] = {("e0", 1): {}}
        self.sequenced = 1
        self.touched: set[str] = set()
        self.log: list[tuple[int, int, int, str]] = []  # after, begins, position, payload
        self.edge = 1

    def write(self, changes: dict[str, int | None]) -> None:
        """Commit one transaction; None deletes."""
        for key, number in changes.items():
            if number is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = number
            self.touched.add(key)
            self.offset += 1
        self.history[self.epoch, self.offset] = dict(self.rows)

    def sequence(self) -> None:
        if self.touched:
            changes = [
                to_row(key, self.rows[key]).upsert() if key in self.rows else messages.delete(key)
                for key in sorted(self.touched)
            ]
            after = max(self.log[-1][2] if self.log else 0, self.edge)
            self.log.append((after, self.sequenced, self.offset, messages.encode_changes(changes)))
            self.touched.clear()
        self.sequenced = self.offset

    def prune(self, kept: int) -> None:
        while len(self.log) > kept:
            self.edge = self.log.pop(0)[2]

    def restore(self) -> None:
        """Begin another epoch: earlier rows, and positions that repeat."""
        self.epoch = f"e{int(self.epoch[1:]) + 1}"
        self.offset = self.sequenced = self.edge = max(1, self.offset // 2)
        self.touched.clear()
        self.log.clear()
        self.rows = {key: number for key, number in self.rows.items() if number % 2}
        self.history[self.epoch, self.offset] = dict(self.rows)

    def as_of(self, position: Position) -> dict[str, int]:
        """Return the rows at a position: those of the newest commit at or below it."""
        offsets = [
            offset for epoch, offset in self.history if epoch == position.epoch and offset <= position.offset
        ]
        return self.history[position.epoch, max(offsets)]


class Hub:
    """One process: the topic, and how gaps and new epochs are handled."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.topic = Topic("t", max_kept_changes=6, max_part_bytes=90)
        self.topic.hides_rows = False
        self.read()

    def read(self) -> None:
        source = self.source
        newest = source.log[-1][2] if source.log else source.edge
        since = source.offset if source.touched else max(newest, source.edge)
        rows = [to_row(key, number) for key, number in source.rows.items()]
        self.topic.load(Position(source.epoch, source.offset), rows, since)

    def receive(self, entry: tuple[int, int, int, str]) -> None:
        """Apply a layer message, perhaps an old one."""
        after, begins, position, payload = entry
        try:
            self.topic.apply(after, begins, position, messages.decode_changes(payload))
        except Gap:
            self.read_log()

    def read_log(self) -> None:
        """Read the log's tail."""
        held = self.topic.position
        if held.epoch != self.source.epoch or held.offset < self.source.edge:
            self.read()
            return
        for after, begins, position, payload in self.source.log:
            self.topic.apply(after, begins, position, messages.decode_changes(payload))


class Client:
    """A replica and its connection."""

    def __init__(self, format: Format) -> None:
        self.replica = Replica("t", format)
        self.session = Session(default_limits())

    def connect(self, hub: Hub) -> None:
        self.session = Session(default_limits())
        self.session.subscribe(hub.topic, self.replica.position, self.replica.format)


TRANSACTIONS = st.lists(st.dictionaries(KEYS, st.booleans(), min_size=1, max_size=3), min_size=1, max_size=3)
READERS = st.sets(st.integers(0, 5))


class Convergence(RuleBasedStateMachine):
    """Most steps are ordinary: rows are written, most messages arrive, some clients read."""

    @initialize(formats=st.lists(FORMATS, min_size=2, max_size=4))
    def begin(self, formats: list[str]) -> None:
        self.source = Source()
        self.number = 0
        self._write(dict.fromkeys("abcd", False))
        self.source.sequence()
        self.hub = Hub(self.source)
        self.everyone: list[Client] = []
        for format in formats:
            self.open_page(format, True)

    @rule(
        transactions=TRANSACTIONS,
        fate=st.sampled_from(["heard", "heard", "lost", "doubled"]),
        readers=READERS,
    )
    def live(self, transactions: list[dict[str, bool]], fate: str, readers: set[int]) -> None:
        """Transactions commit and are sequenced together; the message arrives or is lost; some clients read."""
        for transaction in transactions:
            self._write(transaction)
        before = len(self.source.log)
        self.source.sequence()
        for entry in self.source.log[before:] * {"heard": 1, "lost": 0, "doubled": 2}[fate]:
            self.hub.receive(entry)
        self._wake()
        for number, client in enumerate(self.everyone):
            if number in readers:
                self.read(client, 100)

    @rule(transaction=st.dictionaries(KEYS, st.booleans(), min_size=1, max_size=3))
    def commit(self, transaction: dict[str, bool]) -> None:
        """A transaction commits and is not sequenced yet."""
        self._write(transaction)

    @rule(format=FORMATS, rendered=st.booleans())
    def open_page(self, format: Format, rendered: bool) -> None:
        """A page is rendered by the server as of now, or starts empty; then it connects."""
        client = Client(format)
        if rendered:
            client.replica.position = Position(self.source.epoch, self.source.offset)
            for key, number in self.source.rows.items():
                row: Any = to_row(key, number)
                client.replica.rows[key] = (row.order, row.html if "html" in format else bytes(row.row))
                client.replica.digests[key] = row.digest_in(format)
        self.everyone = [*self.everyone[-4:], client]
        client.connect(self.hub)

    @rule(data=st.data())
    def hear_an_old_message_again(self, data) -> None:
        if self.source.log:
            self.hub.receive(data.draw(st.sampled_from(self.source.log)))
            self._wake()

    @rule(kept=st.integers(0, 3))
    def prune(self, kept: int) -> None:
        self.source.prune(kept)

    @rule(what=st.sampled_from(["look", "look", "read", "restart", "restore"]))
    def disturb(self, what: str) -> None:
        """The hub reads the log, reads all rows again, or restarts; a backup is restored."""
        if what == "restore":
            self.source.restore()
        if what == "restart":
            self.hub = Hub(self.source)
            for client in self.everyone:
                client.connect(self.hub)
        self.hub.read_log()
        if what == "read":
            self.hub.read()
        self._wake()

    @rule(number=st.integers(0, 4), limit=st.integers(0, 3))
    def break_connection(self, number: int, limit: int) -> None:
        """A client receives some of its messages, then reconnects with its position."""
        client = self.everyone[number % len(self.everyone)]
        self.read(client, limit)
        client.connect(self.hub)

    @rule(number=st.integers(0, 4))
    def heartbeat(self, number: int) -> None:
        client = self.everyone[number % len(self.everyone)]
        client.session.beat()
        self.read(client, 100)

    def _write(self, transaction: dict[str, bool]) -> None:
        self.number += 1
        self.source.write({key: None if is_delete else self.number for key, is_delete in transaction.items()})

    def read(self, client: Client, limit: int) -> None:
        """Deliver up to ``limit`` messages; after a break or a gap the client resumes."""
        texts = list(iter(client.session.next, None))
        if not self._deliver(client, texts[:limit]) or limit < len(texts):
            client.connect(self.hub)

    def _wake(self) -> None:
        for client in self.everyone:
            client.session.notify("t")

    def _deliver(self, client: Client, texts: list[str | bytes]) -> bool:
        """Deliver messages one by one, checking the promise after each; return False at a gap."""
        for text in texts:
            if client.replica.receive(text):
                return False
            self._check(client)
        return True

    def _check(self, client: Client) -> None:
        replica = client.replica
        assert not replica.corrections
        if replica.position is not None:
            contents = self._contents(client)
            assert contents == self.source.as_of(replica.position), replica.position
            digests = {key: to_row(key, n).digest_in(replica.format) for key, n in contents.items()}
            assert replica.digests == digests

    def _contents(self, client: Client) -> dict[str, int]:
        if "html" in client.replica.format:
            return {key: int(html[3:-4]) for key, (_, html) in client.replica.rows.items()}
        return {key: msgspec.json.decode(row)["n"] for key, (_, row) in client.replica.rows.items()}

    @invariant()
    def every_page_is_the_source_as_of_its_position(self) -> None:
        for client in self.everyone:
            self._check(client)

    def teardown(self) -> None:
        """When writes stop, reading the log and reconnecting bring every client to the source's rows, in order."""
        self.source.sequence()
        self.hub.read_log()
        self._wake()
        for client in self.everyone:
            if not self._deliver(client, list(iter(client.session.next, None))):
                client.connect(self.hub)
                assert self._deliver(client, list(iter(client.session.next, None)))
            assert self._contents(client) == self.source.rows
            client.session.beat()
            assert self._deliver(client, list(iter(client.session.next, None)))
            assert client.replica.verified
            if "signal" in client.replica.format and self.source.log:
                assert client.replica.signal >= self.source.log[-1][2]
            expected = sorted(
                self.source.rows, key=lambda key: (to_row(key, self.source.rows[key]).order, key)
            )
            assert client.replica.keys == expected


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(max_examples=60, stateful_step_count=50)


@pytest.mark.matrix
def test_convergence_for_longer():
    run_state_machine_as_test(Convergence, settings=settings(max_examples=200, stateful_step_count=50))

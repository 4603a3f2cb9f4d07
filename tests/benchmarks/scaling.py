"""The resources for many processes, connections and changes, computed from costs measured on one machine.

``inputs`` takes the costs from the results of the benchmark; one that was not measured has the default, whose
source docs/scaling.md names. ``needs`` computes from them; docs/scaling.md explains the model.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from .outcome import Figures, number, table

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Inputs:
    """The measured costs; the defaults were measured with 0.1.0 (docs/performance.md, docs/scaling.md)."""

    delivery_us: float = 17.6
    """CPU of one delivery on uvicorn with 1,000 subscribers, µs; the change's own cost is shared by them."""
    connection_kib: float = 28.5
    """Memory of an idle connection on uvicorn, KiB."""
    idle_us: float = 12.4
    """CPU of an idle connection on uvicorn, µs a second."""
    message_bytes: float = 315
    """One delivered message, bytes."""
    apply_ms: float = 0.64
    """CPU of a process for one change of a topic that it holds, ms, deliveries aside."""
    sequence_us: float = 417
    """CPU of sequencing one followed row, µs."""
    hub_statements: float = 2.6
    """Statements a second of a hub's floor at rest."""
    statement_us: float = 470
    """CPU of PostgreSQL for one statement of the floor, µs."""
    layer_us: float = 46
    """CPU of Valkey for one message sent to one process, µs."""
    layer_bytes: float = 767
    """One message that Valkey sends to one process, bytes."""
    look_us: float = 0.9
    """CPU of a process for each changed topic that a look at the log's tail finds, µs."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load to compute for; each connection follows one topic, and each change touches one."""

    name: str
    topics: int
    changes: float = 10_000
    connections: int = 1_000_000
    processes: int = 100

    @property
    def holders(self) -> float:
        """How many processes hold a topic, if its subscribers are spread at random."""
        subscribers = self.connections / self.topics
        return self.processes * (1 - (1 - 1 / self.processes) ** subscribers)

    @property
    def messages_of_topic(self) -> float:
        """Messages a second that each subscriber of a topic receives: changes of one tick are sent together."""
        return min(20.0, self.changes / self.topics)

    @property
    def deliveries(self) -> float:
        return self.messages_of_topic * self.connections


LOADS = (
    Load("1,000,000 personal topics", 1_000_000),
    Load("100,000 topics of 10 subscribers", 100_000),
    Load("1,000 topics of 1,000 subscribers", 1_000),
)


def needs(load: Load, costs: Inputs) -> Figures:
    """Return what a load needs, in cores, bytes and statements: for each process, and for what all share."""
    each = load.connections / load.processes
    topics_changed = min(load.topics, load.changes)  # in one second, which is the interval of the floor
    applied = min(load.changes, 20 * load.topics) * load.holders / load.processes
    delivering = load.deliveries / load.processes * costs.delivery_us / 1e6
    applying = applied * costs.apply_ms / 1000
    idle = each * costs.idle_us / 1e6
    looking = topics_changed * costs.look_us / 1e6
    floor = load.processes * costs.hub_statements
    sent = min(load.changes, 20 * load.topics) * load.holders
    return {
        "": load.name,
        "deliveries/s": load.deliveries,
        "a process: delivering, cores": delivering,
        "applying changes, cores": applying,
        "idle connections, cores": idle,
        "its floor, cores": looking,
        "together, cores": delivering + applying + idle + looking,
        "connections, MiB": each * costs.connection_kib / 1024,
        "sent, MiB/s": load.deliveries / load.processes * costs.message_bytes / MIB,
        "all: sequencing, cores": load.changes * costs.sequence_us / 1e6,
        "floor, statements/s": floor,
        "floor, rows/s read": load.processes * topics_changed,
        "PostgreSQL for it, cores": floor * costs.statement_us / 1e6,
        "layer, messages/s": sent,
        "Valkey, cores": sent * costs.layer_us / 1e6,
        "layer, MiB/s": sent * costs.layer_bytes / MIB,
    }


def inputs(found: dict[str, dict[str, Any]]) -> Inputs:
    """Return the costs, those that were measured in place of the defaults."""
    costs: dict[str, float] = {}
    for row in _rows(found, "fan-out"):
        if row[""] == "uvicorn":
            costs |= {
                "delivery_us": row["CPU per delivery, µs"],
                "connection_kib": row["KiB each"],
                "message_bytes": row["bytes"],
            }
    for row in _rows(found, "idle-then-one"):
        if row[""] == "uvicorn":
            costs["idle_us"] = row["idle CPU %"] / 100 / row["connections"] * 1e6
    rates = [
        row["CPU per row, µs"]
        for row in _rows(found, "sequencing")
        if row[""] == "PostgreSQL, topics followed as html"
    ]
    if rates:
        costs["sequence_us"] = rates[0]
    looks = _rows(found, "floor")
    if looks:
        few, many = looks[0], looks[-1]
        costs["look_us"] = (
            1000
            * (many["of these CPU of the process, ms"] - few["of these CPU of the process, ms"])
            / max(1, many["topics changed"] - few["topics changed"])
        )
    rest = [row for row in _rows(found, "cluster") if row["changes/s"] < 1]
    busy = [row for row in _rows(found, "cluster") if row["changes/s"] >= 1]
    if rest and busy:
        # Where processes wait for a core, several changes are one message, whose cost says nothing of one.
        able = [row for row in busy if row["received/s of one hub"] > 0.9 * row["changes/s"]] or busy
        quiet, most = rest[-1], able[-1]
        costs["hub_statements"] = quiet["statements/s of one hub"]
        costs["apply_ms"] = (
            10
            * (most["one hub, % of a core"] - quiet["one hub, % of a core"])
            / most["received/s of one hub"]
        )
        messages = most["changes/s"] * most["processes"]
        costs["layer_bytes"] = most["layer KiB/s out"] * 1024 / messages
        costs["layer_us"] = most["Valkey, % of a core"] / 100 / messages * 1e6
        # PostgreSQL's own processes use CPU besides, so the slope counts.
        more = quiet["processes"] * quiet["statements/s of one hub"] - rest[0]["statements/s of one hub"]
        cores = (quiet["PostgreSQL, % of a core"] - rest[0]["PostgreSQL, % of a core"]) / 100
        if more > 0 and cores > 0:
            costs["statement_us"] = cores / more * 1e6
    return replace(Inputs(), **costs)


def _rows(found: dict[str, dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for result in found.values() for row in result["tables"].get(name, [])]


def blocks(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the tables of docs/scaling.md that are computed."""
    costs = inputs(found)
    given: list[Figures] = [
        {"cost": field.name.replace("_", " "), "measured": number(getattr(costs, field.name))}
        for field in fields(Inputs)
    ]
    found_needs = [needs(load, costs) for load in LOADS]
    names = [name for name in found_needs[0] if name]
    rows: list[Figures] = [
        {"10,000 changes/s, 100 processes": name, **{str(each[""]): each[name] for each in found_needs}}
        for name in names
    ]
    return {"scaling-costs": table(given), "scaling-needs": table(rows)}

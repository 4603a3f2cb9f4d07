"""The parts of the benchmark, each of which takes less than five minutes on an idle machine."""

from collections.abc import Awaitable, Callable

from . import (
    browser,
    capture,
    cluster,
    crowds,
    delivery,
    floods,
    groups,
    growth,
    hostile,
    layers,
    live_blocks,
    neighbours,
    paint,
    rights,
    sequencing,
)
from .bench import Bench
from .outcome import Outcome

Scenario = Callable[[Bench, Outcome], Awaitable[None]]

_PARTS: dict[str, dict[str, Scenario]] = {
    "delivery": {
        "fan-out": delivery.fan_out,
        "fan-out-wide": delivery.fan_out_wide,
    },
    "changes": {
        "lone-change": delivery.lone_change,
        "one-client": delivery.one_client,
        "many-topics": crowds.many_topics,
        "burst": crowds.burst,
    },
    "sequencing": {
        "not-followed": sequencing.not_followed,
        "followed": sequencing.followed,
    },
    "floods": {"held": floods.held},
    "neighbours": {"beside-sqlite": neighbours.on_sqlite, "beside-postgresql": neighbours.on_postgresql},
    "paint": {"paint": paint.held},
    "rights": {"rights": rights.pairs, "closing": crowds.closing},
    "blocks": {"live-blocks": live_blocks.followed},
    "groups": {"groups": groups.joined, "layers": layers.added},
    "capture": {"capture": capture.for_a_writer, "constraint": capture.beside_a_constraint},
    "browser": {"first-visit": browser.first_visit, "browser-change": browser.one_change},
    "growth": {"growth-subscribers": growth.subscribers},
    "rates": {"growth-rates": growth.rates},
    "lengths": {"log-length": sequencing.log_length, "waiting-rows": sequencing.waiting_rows},
    "crowds": {
        "resume-storm": crowds.resume_storm,
        "idle-then-one": crowds.idle_then_one,
        "stalled-readers": crowds.stalled_readers,
    },
    "cluster": {"hubs": cluster.hubs, "floor": cluster.floor},
    "attacks-daphne": {"hostile-daphne": hostile.on_daphne},
    "attacks-guarded": {"hostile-guarded": hostile.on_guarded_uvicorn},
}

PARTS: dict[str, list[str]] = {part: list(scenarios) for part, scenarios in _PARTS.items()}
SCENARIOS: dict[str, tuple[str, Scenario]] = {
    name: (part, scenario) for part, scenarios in _PARTS.items() for name, scenario in scenarios.items()
}
"""The part and the function of each scenario."""

"""Growth: what a change costs with more subscribers and at higher rates, for each server and some peers."""

import psutil

from . import contestants
from .bench import Bench
from .delivery import COST, connected, deliver
from .outcome import Curve, Outcome, Points

SUBSCRIBERS = (100, 1000, 3000, 5000)
RATES = (2.0, 5.0, 20.0, 50.0)


async def subscribers(bench: Bench, out: Outcome) -> None:
    """From 100 to 5,000 subscribers of one topic, 2 changes per second; the curve is the cost of a change."""
    names = ["kernel floor", *contestants.tidemarks(bench)]
    names += [name for name in ("ws on node",) if name in contestants.names(bench)]
    costs: dict[str, Points] = {}
    slowest: dict[str, Points] = {}
    memory: dict[str, Points] = {}
    for name in names:
        for size in SUBSCRIBERS:
            count = bench.count(size, 5)
            with out.tolerating(f"{name}, {count}"):
                async with connected(bench, name, ["entries.1"] * count) as (running, load, process, _):
                    figures = await deliver(
                        bench, running, load, process, ["entries.1"], bench.count(10, 2), 2
                    )
                    mib = psutil.Process(running.pid).memory_info().rss / 2**20
                out.add("growth-subscribers", {
                    "": name, "subscribers": count, **{
                        column: figures[column] for column in (COST, "p50 ms", "p99 ms", "delivered %")
                    }, "MiB": mib,
                })  # fmt: skip
                costs.setdefault(name, []).append((count, float(figures[COST]) * count / 1000))
                slowest.setdefault(name, []).append((count, float(figures["p99 ms"])))
                memory.setdefault(name, []).append((count, mib))
    x = "subscribers"
    out.curves.append(Curve("subscribers-cpu", "One change: CPU by its subscribers", x, "ms of CPU", costs))
    out.curves.append(
        Curve("subscribers-latency", "From the commit to 99 % of the clients", x, "ms", slowest)
    )
    out.curves.append(Curve("subscribers-memory", "A server's memory by its connections", x, "MiB", memory))


async def rates(bench: Bench, out: Outcome) -> None:
    """From 2 to 50 changes per second of one topic with 300 subscribers; the curve is the server's CPU."""
    shares: dict[str, Points] = {}
    for name in contestants.tidemarks(bench):
        for rate in RATES:
            with out.tolerating(f"{name}, {rate:g}/s"):
                count = bench.count(300, 5)
                async with connected(bench, name, ["entries.1"] * count) as (running, load, process, _):
                    changes = bench.count(int(max(10, 4 * rate)), 2)
                    figures = await deliver(bench, running, load, process, ["entries.1"], changes, rate)
                out.add("growth-rates", {
                    "": name, "subscribers": count, "changes/s": rate, **{
                        column: figures[column] for column in (COST, "p50 ms", "p99 ms", "delivered %")
                    },
                })  # fmt: skip
                shares.setdefault(name, []).append((rate, float(figures[COST]) * count * rate / 1e4))
    title = "300 subscribers: CPU by the rate of changes"
    out.curves.append(Curve("rates-cpu", title, "changes a second", "% of a core", shares))

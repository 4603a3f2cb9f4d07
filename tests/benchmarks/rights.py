"""Rights: what checking 10,000 pairs of user and topic costs, and how soon a right ends that SQL has taken away."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import psutil
from picows import ws_connect

from . import contestants
from .bench import FIRST_BOARD, Bench, Direct
from .delivery import idle
from .load import ManyTopics, until
from .outcome import Budget, Outcome, latency, number

USERS = 200
TOPICS = 50
FIRST_HIDDEN = FIRST_BOARD + 60
"""The first board that these users alone may see."""


def sign_in(users: int, boards: int) -> Iterator[list[str]]:
    """Create staff users, hide the boards from all others, and yield the users' session keys."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import User
    from django.test import Client

    from realtime.boards.models import Board

    Board.objects.filter(pk__gte=FIRST_HIDDEN, pk__lt=FIRST_HIDDEN + boards).update(is_public=False)
    keys = []
    for turn in range(users):
        user: User = get_user_model()(username=f"bench-{turn}", is_staff=True)
        user.set_unusable_password()
        user.save()
        client = Client()
        client.force_login(user)
        keys.append(client.session.session_key or "")
    yield keys


async def pairs(bench: Bench, out: Outcome) -> None:
    """200 signed-in users follow 50 topics each; then SQL takes their right away, which no signal announces."""
    users, topics = bench.count(USERS, 3), contestants.topics(bench.count(TOPICS, 2), FIRST_HIDDEN)
    where = "tests.benchmarks.rights:sign_in"
    with contestants.run(bench, "uvicorn") as running:
        assert running.server is not None
        project = running.server.project
        (keys,) = await asyncio.to_thread(bench.inside, project, where, users=users, boards=len(topics))
        process = psutil.Process(running.pid)
        clients = []
        for key in keys:
            client = ManyTopics(topics)
            headers = {"Cookie": f"sessionid={key}", "Origin": running.server.url}
            await ws_connect(lambda client=client: client, running.url, extra_headers=headers)
            clients.append(client)
        await asyncio.sleep(bench.seconds(5))
        empty = await idle(bench, process, 6)
        for client in clients:
            client.subscribe(client.topics)
        wanted = users * len(topics)
        answered = await until(lambda: sum(len(each.answered) for each in clients) == wanted, 120)
        if not answered or any(client.refused for client in clients):
            raise RuntimeError(
                f"only {sum(len(each.answered) for each in clients)} of {wanted} topics were answered"
            )
        await asyncio.sleep(bench.seconds(5))
        share = await idle(bench, process, 15)
        with contextlib.closing(Direct(project)) as database:
            database.execute("UPDATE auth_user SET is_staff = ? WHERE username LIKE 'bench-%'", [False])
        began = time.perf_counter()
        await until(lambda: sum(len(each.refused) for each in clients) == wanted, 30)
        gone = [1000 * (moment - began) for client in clients for moment in client.refused.values()]
        for client in clients:
            if client.transport is not None:
                client.transport.disconnect(False)
    out.add("rights", {
        "pairs": wanted, "CPU %": 100 * share, "of these without subscriptions": 100 * empty, **latency(gone),
        "refused %": 100 * len(gone) / wanted,
    })  # fmt: skip
    last = max(gone, default=float("inf")) / 1000 if len(gone) == wanted else float("inf")
    what = f"rights of {wanted:,} user-topic pairs"
    out.judge(
        Budget(
            f"{what}: CPU", 100 * share, 15, "% of a core", f"{number(100 * empty)} % without subscriptions"
        )
    )
    p50 = number(float(latency(gone)["p50 ms"]))
    out.judge(Budget(f"{what}: taken away from the last", last, 5, "s", f"p50 {p50} ms"))

"""The admin's page for operators: which users may see what, what it can do, and that each instruction is logged."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client

from realtime.management.commands import doctor
from realtime.management.diagnostics import Finding
from realtime.models import Instruction, Process
from realtime.operators import instructions as instructions_module
from realtime.operators import reports
from realtime.operators.live import ProcessesFeed
from realtime.operators.reports import Reader
from realtime.publishing import lease
from tests.operators.conftest import feed as feed
from tests.operators.test_reports import report

PAGE = "/admin/realtime/processreport/"
INSTRUCT, DOCTOR = f"{PAGE}instruct/", f"{PAGE}doctor/"


@pytest.fixture
def reported(feed: ProcessesFeed, log, settings) -> None:
    """A process with a connection of a user, and a lease that lasts for as long as the test."""
    settings.REALTIME = {**settings.REALTIME, "LEASE_SECONDS": 600, "MAX_LAG_SECONDS": 600}
    user = get_user_model().objects.create_user("frieda")
    Process.objects.create(name="a:1:ff")
    reader = Reader("c7", "websocket", 90.0, 2048, 1, "192.0.2.77", str(user.pk))
    reports.store(
        "a:1:ff",
        report(
            connections=1, transports={"websocket": 1}, followers={"entries.1": 1},
            addresses={"192.0.2.77": 1}, users={str(user.pk): 1}, readers=[reader], refusals={"4403": 9},
        ),
    )  # fmt: skip


def client_of(name: str, **flags: Any) -> Client:
    user = get_user_model().objects.create_user(name, is_staff=True, **flags)
    if not flags:
        user.user_permissions.add(Permission.objects.get(codename="operate"))
    client = Client(enforce_csrf_checks=False)
    client.force_login(user)
    return client


@pytest.fixture
def operator(reported) -> Client:
    return client_of("operator")


@pytest.fixture
def superuser(reported) -> Client:
    return client_of("superuser", is_superuser=True)


def instructions() -> list[tuple[str, str, str]]:
    given = Instruction.objects.exclude(kind=Instruction.Kind.WATCH).order_by("pk")
    return list(given.values_list("kind", "process", "target"))


def test_the_page_shows_processes_and_has_them_report(operator):
    """Without JavaScript too: all of it is in the page; processes report from its first view on."""
    assert lease.acquire("a:1:01")

    shown = operator.get(PAGE).content.decode()

    for words in ("a:1:ff", "publishes", "websocket", "<bdi>entries</bdi>", "c7", "2.0", "4403, forbidden"):
        assert words in shown
    assert "is not live" not in shown
    assert Instruction.objects.get().kind == Instruction.Kind.WATCH
    assert 'data-realtime-topics="realtime_processes"' in shown


def test_the_page_says_where_nothing_is_published(operator):
    """And it reloads itself."""
    shown = operator.get(PAGE).content.decode()

    assert "Nothing is published, so this page is not live." in shown
    assert 'data-reload-seconds="5"' in shown
    assert "publisher: none is running" in shown


def test_personal_data_is_for_superusers(operator, superuser):
    """Addresses and users: staff sees how many there are."""
    shown = operator.get(PAGE).content.decode()
    for words in ("192.0.2.77", "frieda", "Sign out"):
        assert words not in shown
        assert words in superuser.get(PAGE).content.decode()


@pytest.mark.parametrize("address", [PAGE, INSTRUCT, DOCTOR])
@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_the_permission_sees_and_does_nothing(reported, address, method):
    """The admin's index does not have the page either; users who are not staff have to sign in."""
    user = get_user_model().objects.create_user("staff", is_staff=True)
    client = Client()
    client.force_login(user)

    assert getattr(client, method)(address, {"kind": "close"}).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()
    assert getattr(Client(), method)(address, {"kind": "close"}).status_code == 302
    assert instructions() == []


def test_the_index_leads_to_the_page(operator):
    assert PAGE in operator.get("/admin/").content.decode()


def test_no_row_can_be_edited(operator):
    """They are written by processes alone."""
    for path in ("add/", "a:1:ff/change/", "a:1:ff/delete/"):
        assert operator.get(PAGE + path).status_code == 404


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "close", "process": "a:1:ff", "target": "c7"}, "Close connection c7 of a:1:ff"),
        ({"kind": "reload", "process": "a:1:ff", "target": "c7"}, "Reload the page behind connection c7 of a:1:ff"),
        ({"kind": "read", "target": "boards"}, "Read the topic boards anew"),
    ],
    ids=["close", "reload", "read"],
)  # fmt: skip
def test_an_instruction_for_one_connection_is_given_at_once_and_logged(operator, data, words):
    """The admin's log has the user; the page is shown again with a message."""
    answer = operator.post(INSTRUCT, data, follow=True)

    assert answer.redirect_chain == [(PAGE, 302)]
    assert "each process carries this out" in answer.content.decode()
    assert instructions() == [(data["kind"], data.get("process", ""), data["target"])]
    noted = LogEntry.objects.get()
    assert (noted.user.get_username(), noted.get_change_message()) == ("operator", words)
    assert noted.object_repr == data.get("process", "all processes")
    assert operator.get("/admin/").status_code == 200  # which lists it


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "close"}, "Close all connections of all processes?"),
        ({"kind": "reload"}, "Reload the page behind all connections of all processes?"),
        ({"kind": "close", "process": "a:1:ff"}, "Close all connections of a:1:ff?"),
    ],
    ids=["close all", "reload all", "close those of one"],
)
def test_an_instruction_for_many_connections_is_confirmed_first(operator, data, words):
    """The first request does nothing."""
    asked = operator.post(INSTRUCT, data)
    assert (asked.status_code, instructions(), LogEntry.objects.count()) == (200, [], 0)
    assert words in asked.content.decode()

    operator.post(INSTRUCT, {**data, "is_confirmed": "on"})

    assert instructions() == [(data["kind"], data.get("process", ""), "")]
    assert LogEntry.objects.count() == 1


def test_signing_out_is_confirmed_first_and_for_superusers_alone(operator, superuser):
    """It ends sessions, which superusers may do in the admin anyway."""
    key = str(get_user_model().objects.get(username="frieda").pk)
    data = {"kind": "sign_out", "target": key}

    assert operator.post(INSTRUCT, {**data, "is_confirmed": "on"}).status_code == 403
    assert "connections of frieda?" in superuser.post(INSTRUCT, data).content.decode()
    assert instructions() == []
    superuser.post(INSTRUCT, {**data, "is_confirmed": "on"})

    assert instructions() == [("sign_out", "", key)]
    assert LogEntry.objects.get().get_change_message() == "End the sessions and connections of frieda"


@pytest.mark.parametrize(
    "data",
    [
        {}, {"kind": "watch"}, {"kind": "drop"}, {"kind": "read"}, {"kind": "read", "target": "unknown"},
        {"kind": "read", "target": "entries.x"}, {"kind": "close", "target": "c7"}, {"kind": "sign_out"},
        {"kind": "close", "process": "x" * 65}, {"kind": "read", "target": "\x00"},
    ],
)  # fmt: skip
def test_an_instruction_that_cannot_be_given_is_explained_on_the_page(superuser, data):
    """No instruction is given or logged."""
    answer = superuser.post(INSTRUCT, {**data, "is_confirmed": "on"}, follow=True)

    assert answer.redirect_chain == [(PAGE, 302)]
    assert 'class="error"' in answer.content.decode()
    assert (instructions(), LogEntry.objects.count()) == ([], 0)


@pytest.mark.parametrize("address", [INSTRUCT, DOCTOR])
def test_nothing_is_done_without_a_token_of_the_page(reported, address):
    """A page of another site cannot close connections with an operator's cookies; nor can a link."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("superuser"))

    assert client.post(address, {"kind": "close", "is_confirmed": "on"}).status_code == 403
    assert client.get(address, {"kind": "close", "is_confirmed": "on"}).status_code == 302
    assert instructions() == []


def test_the_doctor_shows_what_it_has_found(operator, monkeypatch):
    """In this process, and with what to do."""
    found = [Finding("database: accepts writes"), Finding("publisher: <none>", "start a server")]
    monkeypatch.setattr(doctor, "DIAGNOSTICS", [lambda: found])

    shown = operator.post(DOCTOR).content.decode()

    assert "database: accepts writes" in shown
    assert "publisher: &lt;none&gt;; start a server" in shown


def test_names_of_topics_are_for_superusers(operator, superuser):
    """They may disclose which users follow them: other staff see the feeds."""
    reports.store(
        "a:1:ff", report(connections=1, followers={"inbox.frieda@example.com": 1, "inbox.other": 2})
    )

    theirs, all_of_it = (client.get(PAGE).content.decode() for client in (operator, superuser))

    assert "frieda@" not in theirs
    assert "<bdi>inbox</bdi>" in theirs
    assert "inbox.frieda@example.com" in all_of_it


def test_the_page_is_shown_where_the_database_accepts_no_writes(operator, monkeypatch):
    def refused() -> None:
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(instructions_module, "watch", refused)

    answer = operator.get(PAGE)

    assert answer.status_code == 200
    assert "accepts no writes" in answer.content.decode()
    assert "a:1:ff" in answer.content.decode()


@pytest.mark.parametrize(
    "data, words",
    [
        ({"kind": "sign_out", "target": "9" * 30}, "no such user"),
        ({"kind": "sign_out", "target": "7777"}, "no such user"),
        ({"kind": "sign_out", "target": "frieda"}, "no such user"),
        ({"kind": "close", "process": "gone:1:ff", "target": "c7"}, "is no longer running"),
        ({"kind": "reload", "process": "gone:1:ff"}, "is no longer running"),
    ],
)
def test_no_instruction_is_given_for_a_target_that_does_not_exist(superuser, data, words):
    """It is neither given nor logged as done."""
    answer = superuser.post(INSTRUCT, {**data, "is_confirmed": "on"}, follow=True)

    assert words in answer.content.decode()
    assert instructions() == []
    assert not LogEntry.objects.exists()


def test_a_session_in_a_signed_cookie_is_not_said_to_end(superuser, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = Client()
    client.force_login(get_user_model().objects.get(username="superuser"))
    key = str(get_user_model().objects.get(username="frieda").pk)

    answer = client.post(INSTRUCT, {"kind": "sign_out", "target": key, "is_confirmed": "on"}, follow=True)

    assert "stays valid" in answer.content.decode()
    assert "sessions and connections of the user are ended" not in answer.content.decode()
    assert instructions() == [("sign_out", "", key)]

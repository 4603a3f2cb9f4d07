"""axe-core finds no fault of ours on any page, in light and in dark, and no page is left out."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.template.loader import render_to_string
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from tests.browser.windows import PATIENCE_MS, Window
from tests.support import servers
from tests.support.furnished import furnished
from tests.support.servers import ROOT, Project, Server

COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules whose outcome depends on the colour scheme."""

OF_DJANGO = [
    ("page-has-heading-one", "html"),  # its page to sign in
    ("link-in-text-block", ".breadcrumbs"),  # the links are not underlined
    ("link-in-text-block", "li > a"),  # nor those of what is deleted with a row
    ("empty-table-header", ".original"),  # the column for the names of a table's rows
    ("aria-prohibited-attr", ".help-tooltip"),  # the filter of a list to choose from
]
"""Rules that pages of Django's admin break by themselves, and the elements that break them."""


@dataclass(frozen=True, slots=True)
class View:
    """A page, by the name of its address, in a state that ``reach`` brings it to."""

    name: str
    reach: Callable[[Page], object] = lambda page: None
    args: Sequence[object] = ("departures",)

    def open(self, page: Page) -> None:
        page.goto(reverse(self.name, args=self.args))
        self.reach(page)


def edit(page: Page) -> None:
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("button", name="Add entry").click()
    page.locator(".entry-label").first.click()
    expect(page.locator(".edit-form")).to_be_visible()


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")


def edit_times(page: Page) -> None:
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("button", name="Times of").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def refuse(form: str) -> Callable[[Page], None]:
    """Return what sends a form as it is, though it is not complete."""

    def reach(page: Page) -> None:
        page.eval_on_selector(form, "form => { form.noValidate = true; form.requestSubmit(); }")
        page.wait_for_load_state()
        expect(page.locator(".errorlist").first).to_be_attached()

    return reach


def make(form: str) -> Callable[[Page], None]:
    def reach(page: Page) -> None:
        page.locator(f"{form} [name$=name]").fill("One more")
        page.locator(f"{form} [type=submit]").click()
        expect(page.locator(".made")).to_be_visible()

    return reach


def spoil_sites(page: Page) -> None:
    page.get_by_label("Sites that may embed it").fill("no address")
    page.locator("form[action$='sites/'] [type=submit]").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def preview(table: str, words: str) -> Callable[[Page], None]:
    def reach(page: Page) -> None:
        page.locator("textarea").fill(table)
        page.get_by_role("button", name="Preview").click()
        expect(page.locator(".preview")).to_contain_text(words)

    return reach


def press(words: str, then: str) -> Callable[[Page], None]:
    def reach(page: Page) -> None:
        page.get_by_role("button", name=words).click()
        page.wait_for_selector(then)

    return reach


SETTLE = "() => document.getAnimations().forEach(each => each.finish())"
"""A script that ends transitions between colours, of which the admin has some; to wait for them takes frames."""

BY_VISITORS = [
    View("boards:index", args=()),
    View("boards:board"),
    View("boards:board", args=["empty"]),
    View("boards:board", open_all, ["canteen"]),
    View("boards:board", args=["hafen"]),
    View("boards:wall", args=["hafen"]),
    View("boards:chart", open_all, ["departures", "CHART"]),
    View("boards:wall"),
    View("boards:embed"),
    View("boards:screen", args=()),
    View("boards:link", args=()),
    View("admin:login", args=()),
]
BY_EDITORS = [
    View("boards:index", args=()),
    View("boards:board", open_all),
    View("boards:board", open_all, ["canteen"]),
    View("boards:board", edit),
    View("boards:board", edit, ["hafen"]),
    View("boards:board", edit_times),
    View("boards:announce", refuse("form[action$='/notices/']")),
    View("boards:history", open_all),
    View("boards:import"),
    View("boards:import", preview("Label\tValue\nNew\t1\nMarrowick\t2\n", "new")),
    View("boards:import", preview("Label\tStatus\nNew\tno such status\n", "wrong")),
    View("boards:share"),
    View("boards:make_link", make("form[action$='links/']")),
    View("boards:make_token", make("form[action$='tokens/']")),
    View("boards:set_sites", spoil_sites),
    View("boards:new", args=()),
    View("boards:new", refuse(".new-board"), ()),
    View("realtime:inspector", args=()),
    View("admin:index", args=()),
    View("admin:app_list", args=["boards"]),
    View("admin:realtime_processreport_changelist", args=()),
    View("admin:realtime_processreport_instruct", press("Reload all pages", "text=/^Yes,/"), ()),
    View("admin:realtime_processreport_doctor", press("Run doctor", ".operators-findings"), ()),
]
OF_MODELS = [
    View(f"admin:boards_{model}_{kind}", args=args)
    for model in ("board", "entry", "notice", "screen", "message", "organisation")
    for kind, args in {
        "changelist": (), "add": (), "change": (1,), "history": (1,), "delete": (1,)
    }.items()
    if (model, kind) != ("message", "add")
]  # fmt: skip
"""The admin of the demo's models."""

REACHED_FROM = {
    "boards:announce": "boards:board",
    "boards:make_link": "boards:share",
    "boards:make_token": "boards:share",
    "boards:set_sites": "boards:share",
    "admin:realtime_processreport_instruct": "admin:realtime_processreport_changelist",
    "admin:realtime_processreport_doctor": "admin:realtime_processreport_changelist",
}
"""Pages that answer a form, with the page that has it."""

NO_PAGES = {
    ":set_language", "boards:undo_revisions", "boards:send_message", "boards:moderate", "boards:react",
    "admin:boards_message_add",  # messages are of viewers
    "boards:end_notice", "boards:undo", "boards:revoke_token", "boards:revoke_link",  # to others
    "boards:export", "boards:rows", "boards:qr", "boards:logo", "boards:feed", "boards:readings", "boards:build",
    "boards:wall_worker", "realtime:metrics", "admin:autocomplete", "admin:jsi18n",  # files
    "admin:logout", "admin:view_on_site", "admin:password_change", "admin:password_change_done",  # Django's own
}  # fmt: skip

ERRORS = sorted(path.name for path in (ROOT / "templates").glob("[45]*.html"))


@pytest.fixture(scope="module")
def site(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("furnished")
    with servers.running(furnished(prepared, folder / "project")) as server:
        yield server


@pytest.fixture
def window(browser: Browser, site: Server) -> Iterator[Window]:
    window = Window(browser, site, reduced_motion="reduce", viewport=ViewportSize(width=1280, height=900))
    yield window
    window.context.close()


def chart(site: Server) -> int:
    """Return the key of an entry that has a chart."""
    (key,) = site.project.connect().execute("SELECT max(entry) FROM boards_reading").fetchone()
    return int(key)


def faults(page: Page, where: str) -> list[str]:
    """Return the faults of the page in light and dark, without those of Django."""
    found = []
    for scheme, options in (
        ("light", {}), ("dark", {"runOnly": {"type": "rule", "values": COLOURS}})
    ):  # fmt: skip
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        # Rows that may be out of date are dimmed, as they are for a moment where the machine is busy.
        expect(page.locator("live-topic[state=stale]")).to_have_count(0, timeout=PATIENCE_MS)
        page.evaluate(SETTLE)
        response = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
        found += [
            f"{where} ({scheme}): {violation['id']}: {target} {node['failureSummary']}"
            for violation in response["violations"]
            for node in violation["nodes"]
            if not is_of_django(page, violation["id"], target := json.dumps(node["target"]))
        ]
    return found


def is_of_django(page: Page, rule: str, target: str) -> bool:
    return "/admin/" in page.url and any(rule == each and element in target for each, element in OF_DJANGO)


def look_at(window: Window, views: list[View], key: int) -> list[str]:
    found = []
    for view in views:
        start = View(
            REACHED_FROM.get(view.name, view.name),
            view.reach,
            [key if arg == "CHART" else arg for arg in view.args],
        )
        start.open(window.page)
        found += faults(window.page, f"{view.name} {window.page.url}")
    return found


def test_pages_of_visitors_have_no_fault(window, site):
    """Boards, walls, frames, charts, screens, and pages to sign in or to open a link."""
    assert look_at(window, BY_VISITORS, chart(site)) == []


def test_pages_of_editors_and_operators_have_no_fault(window, site):
    """Each in its states: while a row is edited, after a form was refused, with what was made."""
    window.sign_in()

    assert look_at(window, BY_EDITORS, chart(site)) == []


def test_pages_of_the_admin_have_no_fault_of_ours(window, site):
    """Lists, forms and tables of forms of the demo's models."""
    window.sign_in()

    assert look_at(window, OF_MODELS, chart(site)) == []


def answer(name: str) -> Callable[[Route], None]:
    """Return what answers a request with an error page."""
    return lambda route: route.fulfill(body=render_to_string(name), content_type="text/html")


def test_error_pages_have_no_fault(window):
    """With the style sheet of the site, as the server sends it."""
    page, found = window.page, []
    for name in ERRORS:
        page.route(f"**/{name}", answer(name))
        page.goto(f"/{name}")
        found += faults(page, name)

    assert found == []


def addresses(resolver: URLResolver, namespace: str = "") -> Iterator[tuple[str, Any]]:
    """The names of addresses, with their views; those without a name are redirections."""
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from addresses(each, each.namespace or namespace)
        elif isinstance(each, URLPattern) and each.name:
            yield f"{namespace}:{each.name}", each.callback


def test_no_page_is_left_out():
    """Each address is visited here, or known to be no page; those of other apps' models are Django's."""
    visited = {view.name for view in [*BY_VISITORS, *BY_EDITORS, *OF_MODELS]}
    ours = {
        name for name, view in addresses(get_resolver("config.urls")) if not name.startswith("admin:auth_")
    }

    assert ours == visited | NO_PAGES
    assert len(ERRORS) >= 4

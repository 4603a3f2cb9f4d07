"""Rows that slide to their new places."""

import pytest
from playwright.sync_api import Page

SLIDES = """() => [...document.querySelectorAll("[data-key]")].map((row) =>
    row.getAnimations().map((each) => each.effect.getKeyframes().map(({ transform }) => transform))).flat(2)"""
FRAME = "() => new Promise(requestAnimationFrame)"
MOVE = """() => {
    const rows = document.querySelector("[data-rows]");
    if (!window.isStill) rows.setAttribute("data-slide", "");
    server().sends(changes(10, 11, [upsert(html("a", "9"))]));
}"""


@pytest.fixture(autouse=True)
def painted(page: Page) -> None:
    page.evaluate("() => { paint([tr('a', '1'), tr('b', '2'), tr('c', '3')]); connect(); }")


def test_rows_that_change_places_slide_by_a_transform_alone(page: Page) -> None:
    """One comes from above, two from below; each ends where it is."""
    page.evaluate(MOVE)
    page.evaluate(FRAME)

    slides = page.evaluate(SLIDES)
    assert len(slides) == 6
    assert slides[1::2] == ["none"] * 3
    by = [float(each.removeprefix("translateY(").removesuffix("px)")) for each in slides[::2]]
    assert [each > 0 for each in by] == [True, True, False]


@pytest.mark.parametrize(
    "arrange", ["isStill = true", "motion"], ids=["without the attribute", "reduced motion"]
)
def test_rows_stay_still_otherwise(page: Page, arrange: str) -> None:
    page.emulate_media(reduced_motion="reduce" if arrange == "motion" else "no-preference")
    page.evaluate(f"() => {{ window.{arrange}; }}")

    page.evaluate(MOVE)
    page.evaluate(FRAME)

    assert page.evaluate(SLIDES) == []
    page.emulate_media(reduced_motion="no-preference")


def test_a_row_that_changes_in_its_place_moves_none(page: Page) -> None:
    page.evaluate("() => document.querySelector('[data-rows]').setAttribute('data-slide', '')")

    page.evaluate("() => server().sends(changes(10, 11, [upsert(html('b', '2', 'other'))]))")
    page.evaluate(FRAME)

    assert page.evaluate(SLIDES) == []

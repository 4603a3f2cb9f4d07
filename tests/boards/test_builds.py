"""The build of the pages."""

import pytest

from realtime.boards import builds
from realtime.boards.builds import build


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "FOLDERS", [tmp_path])
    (tmp_path / "a.js").write_text("1")
    build.cache_clear()
    yield tmp_path
    build.cache_clear()


@pytest.mark.parametrize("change", ["content", "name", "new"])
def test_the_build_changes_with_what_pages_are_made_of(folder, change):
    before = build()
    build.cache_clear()
    assert build() == before

    if change == "content":
        (folder / "a.js").write_text("2")
    elif change == "name":
        (folder / "a.js").rename(folder / "b.js")
    else:
        (folder / "b.js").write_text("")

    assert build() == before, "a running server keeps its build"
    build.cache_clear()
    assert build() != before


def test_pages_ask_for_the_build(client, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/build/")

    assert response.content.decode() == build()
    assert response["Cache-Control"] == "no-store"

"""The committed bundles are those of their sources."""

import pytest

from tests.support import bundle
from tests.support.bundle import BUNDLES, CLIENT, CLIENT_BUNDLE, EARLY_BUNDLE, Bundle

each_bundle = pytest.mark.parametrize("built", BUNDLES, ids=lambda built: built.path.name)


@each_bundle
def test_a_bundle_names_the_digest_of_its_sources(built: Bundle) -> None:
    """Whether it is older than what it is made of is known without esbuild too."""
    with built.path.open() as file:
        first_line = file.readline()

    assert first_line == built.banner, f"run `make bundle`: {built.path.name} is older than its sources"


@each_bundle
def test_a_bundle_is_what_esbuild_makes_of_its_sources(built: Bundle) -> None:
    """To the byte: nothing in it was written by hand."""
    if not bundle.ESBUILD.exists():
        pytest.skip("NOT COMPARED with its sources: no esbuild. Install node and npm, and run `make lint`")

    assert built.path.read_text() == built.build(), "run `make bundle`"


def test_the_client_is_bundled_whole() -> None:
    """All modules but those of the admin's pages, those for frameworks, and the one that has types alone."""
    apart = ("inspector", "operators", "frameworks")
    modules = {path for path in CLIENT.rglob("*.js") if path.parent.name not in apart}

    missing = modules - {CLIENT_BUNDLE.path, *CLIENT_BUNDLE.sources, EARLY_BUNDLE.path, *EARLY_BUNDLE.sources}

    assert [path.name for path in missing] == ["messages.js"]


@pytest.fixture
def small(tmp_path, monkeypatch) -> Bundle:
    """A bundle of two modules, one of which imports the other."""
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "part.js").write_text("export const part = 1;\n")
    (tmp_path / "deep" / "more.js").touch()
    (tmp_path / "entry.js").write_text('import { part } from "./deep/part.js";\nexport default part;\n')
    return Bundle(tmp_path / "entry.min.js", 'export {{ default }} from "{}";', (tmp_path / "entry.js",))


def write(small: Bundle, name: str, text: str) -> None:
    (small.path.parent / name).write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda small, _: write(small, "entry.js", "export default 2;\n"),
        lambda small, _: write(small, "deep/part.js", "export const part = 2;\n"),
        lambda small, _: write(small, "entry.js", 'import "./deep/more.js";\n'),
        lambda _, patch: patch.setattr(bundle, "OPTIONS", [*bundle.OPTIONS, "--drop:console"]),
        lambda _, patch: patch.setattr(bundle, "esbuild_version", lambda: "0.0.1"),
    ],
    ids=["entry", "imported", "one module more", "options", "esbuild"],
)
def test_whatever_changes_a_bundle_changes_its_digest(small, change, monkeypatch) -> None:
    before = small.digest

    change(small, monkeypatch)

    assert small.digest != before


def test_an_import_in_a_comment_is_no_source(small) -> None:
    """Types are imported in comments: a bundle has none."""
    write(small, "entry.js", '/** @import { A } from "./types.js" */\nexport default 1;\n')

    assert [path.name for path in small.sources] == ["entry.js"]

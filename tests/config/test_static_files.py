"""Collected static files have names with a hash, and every file is served as it is on disk now."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from django.core.management import call_command
from django.http import Http404, HttpRequest, HttpResponse
from django.templatetags.static import static
from django.test import AsyncRequestFactory

from config.static_files import StaticFilesMiddleware

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
IMPORT = re.compile(r"""^(?:import|export)\b[^;"']*["'](?P<path>\.[^"']+)["'];""", re.MULTILINE)
HASHED = re.compile(r"\.[0-9a-f]{12}\.js$")


@pytest.fixture
def collected(settings, tmp_path) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "config.static_files.HashedStaticFilesStorage"},
    }
    call_command("collectstatic", "--no-input", "--verbosity", "0")
    return settings.STATIC_ROOT


def test_every_import_of_a_hashed_module_is_of_a_hashed_file(collected):
    """Otherwise a server that keeps only hashed files would answer 404, and pages would not be live."""
    modules = [
        path for path in collected.rglob("*.js") if HASHED.search(path.name) and "admin" not in path.parts
    ]

    imports = {(module, match["path"]) for module in modules for match in IMPORT.finditer(module.read_text())}

    assert len(imports) > 30
    assert [path for _, path in imports if not HASHED.search(path)] == []
    assert [path for module, path in imports if not (module.parent / path).is_file()] == []


def test_commands_run_before_files_are_collected(tmp_path):
    """No address is resolved at import: ``migrate`` and ``collectstatic`` run before the manifest exists."""
    environment = {**os.environ, "VAR_DIR": str(tmp_path), "STATIC_ROOT": str(tmp_path / "static")}

    subprocess.run([sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, check=True, timeout=60)


def test_templates_name_the_hashed_entry(collected):
    """By the manifest that ``collectstatic`` wrote."""
    assert (collected / static("realtime/live.js").removeprefix("/static/")).is_file()
    assert HASHED.search(static("realtime/live.js"))


@pytest.mark.parametrize("name", ["realtime/live.min.js", "boards/boards.min.css", "realtime/live.css"])
async def test_a_collected_file_is_sent_compressed_and_kept_for_good(collected, settings, name):
    """A first visit on a slow network waits for these files; a second one does not ask for them."""
    settings.SERVESTATIC_USE_FINDERS = False
    settings.SERVESTATIC_USE_MANIFEST = True

    response, body = await get_from(
        StaticFilesMiddleware(not_found), static(name), **{"accept-encoding": "gzip"}
    )

    assert response["Content-Encoding"] == "gzip"
    assert response["Vary"] == "Accept-Encoding"
    assert "immutable" in response["Cache-Control"]
    assert gzip.decompress(body) == (collected / name).read_bytes()
    assert len(body) < len(gzip.decompress(body)) / 2


async def not_found(request: HttpRequest) -> HttpResponse:
    raise Http404


async def get_from(
    middleware: StaticFilesMiddleware, path: str, **headers: str
) -> tuple[HttpResponse, bytes]:
    """Return a response and its whole body."""
    response = await middleware(AsyncRequestFactory().get(path, headers=headers))
    parts = response.streaming_content
    body = b"".join([part async for part in parts] if hasattr(parts, "__aiter__") else parts)
    return response, body


@pytest.fixture
def served(tmp_path, settings):
    """A folder with static files, and a client of the middleware that serves it since before the test changes it."""
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "page.js").write_bytes(b"old " * 500)
    (folder / "page.js.gz").write_bytes(gzip.compress(b"old " * 500))
    settings.SERVESTATIC_USE_FINDERS = False
    settings.SERVESTATIC_USE_STATIC_ROOT = True
    settings.STATIC_ROOT = folder

    return folder, partial(get_from, StaticFilesMiddleware(not_found), "/static/page.js")


def replace_by_rename(path: Path, content: bytes) -> None:
    """Replace a file as git and pip do."""
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").rename(path)


for_each_way = pytest.mark.parametrize(
    "write", [Path.write_bytes, replace_by_rename], ids=["written over", "renamed"]
)
NEW = {"longer": b"new " * 9000, "shorter": b"new", "empty": b"", "as long": b"new " * 500}


@for_each_way
@pytest.mark.parametrize("content", NEW.values(), ids=NEW)
@pytest.mark.parametrize("headers", [{}, {"accept-encoding": "gzip"}], ids=["plain", "compressed"])
async def test_a_file_replaced_under_a_running_server_is_served_whole(served, write, content, headers):
    """Neither cut off at the length it had at start nor promised longer than it is, with and without compression."""
    folder, get = served
    await get(**headers)
    write(folder / "page.js", content)
    write(folder / "page.js.gz", gzip.compress(content))

    response, body = await get(**headers)

    assert response["Content-Length"] == str(len(body))
    assert (gzip.decompress(body) if response.get("Content-Encoding") == "gzip" else body) == content


@for_each_way
async def test_the_validators_are_those_of_the_new_file(served, write):
    """A browser that kept the old file is not told that it has not changed."""
    folder, get = served
    old, _ = await get()
    write(folder / "page.js", b"new")
    os.utime(folder / "page.js", (1, 2_000_000_000))

    by_tag, _ = await get(**{"if-none-match": old["ETag"]})
    by_time, _ = await get(**{"if-modified-since": old["Last-Modified"]})

    assert (by_tag.status_code, by_time.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("part", "expected"), [("bytes=0-2", b"new"), ("bytes=-4", b"new!"), ("bytes=3-", b"new!")]
)
async def test_a_part_is_one_of_the_new_file(served, part, expected):
    """A range counts from the length that the file has now."""
    folder, get = served
    (folder / "page.js").write_bytes(b"newnew!")
    (folder / "page.js.gz").unlink()

    response, body = await get(range=part)

    assert (response.status_code, body) == (206, expected)
    assert response["Content-Range"].endswith("/7")


async def test_a_file_that_is_gone_is_not_found_until_it_is_back(served):
    """A release that replaces the folder removes it for a moment; no browser keeps that answer."""
    folder, get = served
    shutil.rmtree(folder)
    gone, _ = await get()
    folder.mkdir()
    (folder / "page.js").write_bytes(b"new")

    back, body = await get()

    assert (gone.status_code, gone["Cache-Control"]) == (404, "no-store")
    assert (back.status_code, body) == (200, b"new")


async def test_every_response_is_whole_while_a_file_is_replaced_all_the_time(served):
    """Also where the file is exchanged between the look at its length and the first byte that is sent."""
    folder, get = served
    (folder / "page.js.gz").unlink()
    ended = threading.Event()

    def replace() -> None:
        while not ended.is_set():
            for length in (10, 5000, 100):
                replace_by_rename(folder / "page.js", b"x" * length)

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(replace)
        try:
            responses = [await get() for _ in range(200)]
        finally:
            ended.set()
        writing.result()

    served_whole = [body for response, body in responses if response.status_code == 200]
    assert {response.status_code for response, _ in responses} <= {200, 503}
    assert len(served_whole) > 0
    assert [r["Content-Length"] for r, _ in responses if r.status_code == 200] == [
        str(len(b)) for b in served_whole
    ]

"""Static files: compressed, with a hash in their names and in the imports of modules; each served as it is on disk."""

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus

from servestatic.middleware import ServeStaticMiddleware
from servestatic.responders import AsyncSlicedFile, NotARegularFileError, Response, StaticFile
from servestatic.storage import CompressedManifestStaticFilesStorage
from servestatic.utils import AsyncFile

ATTEMPTS = 5
"""How often the look at a file is repeated if the file is replaced during each look."""


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Django's storage, with a compressed file beside each file, which ServeStatic and nginx send.

    By default it leaves imports as they are: only the entry of a page would have a hash. Its switch for imports
    (``support_js_module_import_aggregation``) follows the types in JSDoc comments too, which may refer to each other in
    a circle; then no hash can be computed. These patterns match statements alone.
    """

    max_post_process_passes = 20  # modules import modules, up to this depth
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            "*.js",
            (
                (
                    r"""(?m)(?P<matched>^(?P<start>import\s*|(?:import|export)\b[^;'"]*\bfrom\s*)["'](?P<url>\.[^"']+)["'];)""",
                    """%(start)s"%(url)s";""",
                ),
            ),
        ),
    )


class CurrentFile(StaticFile):  # type: ignore[misc]  # it has no types
    """A file that is looked at for each response, and whose length is that of the descriptor it is sent from."""

    def __init__(self, look: Callable[[], StaticFile]) -> None:
        self._look = look

    async def aget_response(
        self, method: str, request_headers: Mapping[str, str], **options: bool
    ) -> Response:
        for _ in range(ATTEMPTS):
            try:
                found = await asyncio.to_thread(self._look)
                response = await found.aget_response(method, request_headers)
                if await _is_whole(response):
                    return response
            except (NotARegularFileError, FileNotFoundError):
                return Response(HTTPStatus.NOT_FOUND, [("Cache-Control", "no-store")], None)
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, [("Retry-After", "1")], None)


class StaticFilesMiddleware(ServeStaticMiddleware):  # type: ignore[misc]
    """ServeStatic, without its memory of the length of each file at start.

    A file that a new release replaced under a running server would then be cut off at the old length, or its response
    would never end.
    """

    def get_static_file(
        self, path: str, url: str, stat_cache: dict[str, os.stat_result] | None = None
    ) -> StaticFile:
        return CurrentFile(partial(super().get_static_file, path, url))


async def _is_whole(response: Response) -> bool:
    """Return whether the length in the headers is that of the open file; close the file if not."""
    file = response.file.fileobj if isinstance(response.file, AsyncSlicedFile) else response.file
    if not isinstance(file, AsyncFile):
        return True
    headers = dict(response.headers)
    promised = (headers.get("Content-Range") or headers["Content-Length"] or "").rpartition("/")[2]
    await file.__aenter__()  # opens it
    assert file.file_obj is not None
    if os.fstat(file.file_obj.fileno()).st_size == int(promised):
        return True
    await file.close()
    return False

"""The built files: the page client, the style, and those of walls, each minified into one file.

``python -m tests.support.bundle`` writes all (``make bundle``). The first line of each has a digest of all that it is
made of, so that a bundle older than its sources is noticed where esbuild is not installed too.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "realtime" / "static" / "realtime"
BOARDS = ROOT / "realtime" / "boards" / "static" / "boards"
PACKAGE = ROOT / "tests" / "javascript" / "package.json"
ESBUILD = ROOT / ".venv" / "javascript" / "node_modules" / ".bin" / "esbuild"
OPTIONS = [
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=chrome87,firefox90,safari15",  # the oldest browsers of docs/feeds.md
    "--charset=utf8",
    "--log-level=warning",
]
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
IMPORT = re.compile(r'(?:\bfrom|^import) "(\.[^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Bundle:
    """One file made of others, with all that these import."""

    path: Path
    statement: str
    entries: tuple[Path, ...]

    @property
    def sources(self) -> list[Path]:
        """The files that it is made of."""
        found, waiting = set(self.entries), [*self.entries]
        while waiting:
            new = {*imports(waiting.pop())} - found
            found |= new
            waiting += new
        return sorted(found)

    @property
    def digest(self) -> str:
        """Of the names and contents of the sources, of the options, and of esbuild's version."""
        parts = [*OPTIONS, self.statement, esbuild_version()]
        for source in self.sources:
            parts += [source.relative_to(ROOT).as_posix(), source.read_text()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    @property
    def banner(self) -> str:
        """The first line of the file."""
        names = " and ".join(entry.name for entry in self.entries)
        return f'/* {names}, by "make bundle"; sources {self.digest} */\n'

    def build(self) -> str:
        """Return the content of the file.

        Raises: RuntimeError, with esbuild's words, if a source is not valid.
        """
        statements = [
            self.statement.format(f"./{path.relative_to(ROOT).as_posix()}") for path in self.entries
        ]
        built = subprocess.run(
            [ESBUILD, *OPTIONS, f"--loader={self.path.suffix.removeprefix('.')}"],
            input="\n".join(statements), cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if built.returncode != 0:
            raise RuntimeError(built.stderr)
        return self.banner + built.stdout


CLIENT_BUNDLE = Bundle(CLIENT / "live.min.js", 'export {{ default }} from "{}";', (CLIENT / "live.js",))
EARLY_BUNDLE = Bundle(CLIENT / "early.min.js", 'import "{}";', (CLIENT / "early.js",))
STYLE_BUNDLE = Bundle(
    BOARDS / "boards.min.css",
    '@import "{}";',
    (CLIENT / "live.css", BOARDS / "boards.css", BOARDS / "senses.css"),
)
WALL_STYLE_BUNDLE = Bundle(BOARDS / "wall.min.css", '@import "{}";', (BOARDS / "wall.css",))
WALL_BUNDLE = Bundle(BOARDS / "wall.min.js", 'import "{}";', (BOARDS / "wall" / "wall.js",))
TIMES_BUNDLE = Bundle(BOARDS / "times.min.js", 'import "{}";', (BOARDS / "times.js",))
BUILD_BUNDLE = Bundle(BOARDS / "newer-build.min.js", 'import "{}";', (BOARDS / "newer-build.js",))
TEXTS_BUNDLE = Bundle(BOARDS / "texts.min.js", 'export {{ text }} from "{}";', (CLIENT / "texts.js",))
# Before those that import it.
BUNDLES = (
    TEXTS_BUNDLE,
    CLIENT_BUNDLE,
    EARLY_BUNDLE,
    STYLE_BUNDLE,
    TIMES_BUNDLE,
    WALL_BUNDLE,
    WALL_STYLE_BUNDLE,
    BUILD_BUNDLE,
)


def imports(source: Path) -> Iterator[Path]:
    """Yield the files that a module imports; imports of types are in comments, and do not count."""
    for address in IMPORT.findall(COMMENT.sub("", source.read_text())):
        yield (source.parent / address).resolve()


def esbuild_version() -> str:
    """Return the version that ``make bundle`` uses."""
    (version,) = re.findall(r'"esbuild": "([^"]+)"', PACKAGE.read_text())
    return str(version)


def main() -> None:
    for bundle in BUNDLES:
        bundle.path.write_text(bundle.build())
        print(f"{bundle.path.relative_to(ROOT)}: {bundle.path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

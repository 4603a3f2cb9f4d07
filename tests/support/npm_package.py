"""The page client as a package for npm: its modules as they are, with their types.

``python -m tests.support.npm_package FOLDER`` writes it there, for ``npm pack`` and ``npm publish`` (``make npm``).
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "realtime" / "static" / "realtime"
TSC = ROOT / ".venv" / "javascript" / "node_modules" / ".bin" / "tsc"


def write(folder: Path) -> None:
    """Write the package into a folder, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CLIENT, folder, ignore=shutil.ignore_patterns("inspector", "operators", "*.min.js"))
    shutil.copy(ROOT / "LICENSE", folder)
    (folder / "README.md").write_text(
        "The page client of Tidemark, for bundlers. It speaks to a Django project with `realtime` in `INSTALLED_APPS`; "
        "docs/feeds.md of that project describes it.\n"
    )
    options = json.loads((ROOT / "tests" / "javascript" / "jsconfig.json").read_text())["compilerOptions"]
    options |= {"noEmit": False, "declaration": True, "emitDeclarationOnly": True, "outDir": "types"}
    config = folder / "tsconfig.json"
    shutil.copy(ROOT / "tests" / "javascript" / "frameworks.d.ts", folder)
    config.write_text(
        json.dumps({"compilerOptions": options | {"rootDir": "."}, "include": ["**/*.js", "frameworks.d.ts"]})
    )
    subprocess.run([TSC, "--project", config], check=True)
    config.unlink()
    (folder / "frameworks.d.ts").unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))

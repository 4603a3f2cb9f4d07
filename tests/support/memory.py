"""Where tests keep their files: in memory, where the machine has a folder for that with enough room.

Tests copy hundreds of databases, and on some machines' disks that takes more time than all the rest of a test.
"""

import os
import shutil
import tempfile
from pathlib import Path

FOLDER = Path("/dev/shm")
ENOUGH_BYTES = 8 * 2**30
"""Ten times what a whole run was seen to use: some tests make environments of hundreds of megabytes."""


def is_fit(folder: Path = FOLDER, enough: int = ENOUGH_BYTES) -> bool:
    """Return whether the folder is in memory and has room, and programs can be run from it, as tests do."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return False
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(folder).free, _available()) >= enough


def keep_files_in_memory() -> None:
    """Let temporary files of this process and of its children be in memory, unless ``TMPDIR`` says where they are."""
    if "TMPDIR" not in os.environ and is_fit():
        os.environ["TMPDIR"] = tempfile.tempdir = str(FOLDER)


def _available() -> int:
    """Return how many bytes programs can still have; 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    values = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines)}
    return 1024 * int(values.get("MemAvailable", 0))

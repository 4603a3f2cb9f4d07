"""The script that pages have in themselves."""

import base64
import hashlib
import re

from realtime.runtime.early_script import early_script, early_script_hash
from tests.support.bundle import EARLY_BUNDLE


def test_it_is_the_bundle_without_its_first_line():
    """The whole text of the element: a browser compares the hash of that. Nothing in it ends the element."""
    assert f"{EARLY_BUNDLE.banner}{early_script()}\n" == EARLY_BUNDLE.path.read_text()
    assert not re.search("</script|<!--", early_script(), re.IGNORECASE)


def test_the_policy_allows_it_by_its_hash():
    """In the form of a source of ``script-src``."""
    digest = base64.b64decode(early_script_hash().removeprefix("'sha256-").removesuffix("'"))

    assert digest == hashlib.sha256(early_script().encode()).digest()

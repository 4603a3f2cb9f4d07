"""How Sphinx makes a site of these documents, in ``make docs``. The folder of sources is that of the project."""

import os
import sys
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from realtime import __version__  # noqa: E402

project = "Tidemark"
copyright = "the Tidemark authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["docs/**", "var/javascript/**", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
exclude_patterns = ["var/javascript/README.md"]
linkcheck_ignore = [r"http://127\.0\.0\.1"]  # servers that the reader starts
suppress_warnings = ["toc.empty_glob"]  # the pages from JavaScript are made where node is installed

# Links to headings are those that GitHub makes, up to the fourth level.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Types of this project's internals and of other packages are no pages here.
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
highlight_language = "none"

html_theme = "furo"
html_title = f"Tidemark {release}"

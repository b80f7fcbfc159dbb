# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx builds these pages; `make docs`."""

from importlib.metadata import version as version_of

project = "pluto_tw"
project_copyright = "the authors of pluto_tw, GPL-3.0-or-later"
release = version_of("pluto_tw")
version = release

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
source_suffix = {".md": "markdown"}
# News fragments are the material of NEWS.md, not pages.
exclude_patterns = ["_build", "newsfragments"]

# Links to `file.md#heading` find the headings, as they do where the pages are read unbuilt.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"pluto_tw {release}"

nitpicky = True

"""The pages as HTML: a frame each; what stands in it is fetched and built by the page's script."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from fallline.report.markup import escape

__all__ = ["PAGES", "asset", "page"]

# page -> (title, script)
PAGES: Mapping[str, tuple[str, str]] = {
    "list": ("Runs", "list.js"),
    "run": ("Run", "run.js"),
    "compare": ("Compare runs", "compare.js"),
    "new": ("New training", "new.js"),
    "experiments": ("Experiments", "experiments.js"),
    "experiment": ("Experiment", "experiment.js"),
}

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · fallline</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/report.css">
<link rel="stylesheet" href="/static/page.css">
<script type="module" src="/static/{script}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<div class="page serve">
<header class="top"><nav aria-label="Pages"><a class="brand" href="/">fallline</a>{links}</nav></header>
<main id="main" tabindex="-1"><h1 id="title">{title}</h1><div id="content"><p class="soft">Loading …</p></div>
<noscript><p>This page needs its script.</p></noscript></main>
<div id="status" class="status" role="status" aria-live="polite"></div>
</div>
</body>
</html>
"""
_LINKS = (("list", "/", "Runs"), ("experiments", "/experiments", "Experiments"), ("new", "/new", "New training"))


def page(name: str) -> str:
    """Return one of the pages.

    Args:
        name: one of `PAGES`.
    """
    title, script = PAGES[name]
    links = "".join(
        f'<a href="{address}"{" aria-current=page" if key == name else ""}>{escape(words)}</a>'
        for key, address, words in _LINKS
    )
    return _PAGE.format(title=escape(title), script=script, links=links)


def asset(name: str) -> tuple[bytes, str] | None:
    """Return a file of the page and its type; None where there is none of this name.

    The report's style sheet is served as it is: page and report speak one visual language.
    """
    ending = name[name.rfind(".") :]
    if ending not in _TYPES or "/" in name or "\\" in name or name.startswith("."):
        return None
    place = resources.files("fallline.report") if name == "report.css" else resources.files("fallline.serve") / "static"
    file = place.joinpath("style.css" if name == "report.css" else name)
    return (file.read_bytes(), _TYPES[ending]) if file.is_file() else None

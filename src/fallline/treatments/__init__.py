"""Treatments: one file a treatment, found by scanning this package.

A treatment rewrites a `Recipe`, or the config of a Keras model (a `Design`: plain dicts). Its module docstring (fixed
headings) is its page in the documentation. To add one, add one file.
"""

from __future__ import annotations

from fallline.treatments._apply import build_model, design_of, facts_of, finished_model, treat
from fallline.treatments._changes import changes_of
from fallline.treatments._key import design_key
from fallline.treatments._treatment import HEADINGS, Treatment, catalogue, discover, treatments_of

__all__ = [
    "HEADINGS",
    "Treatment",
    "build_model",
    "catalogue",
    "changes_of",
    "design_key",
    "design_of",
    "discover",
    "facts_of",
    "finished_model",
    "treat",
    "treatments_of",
]

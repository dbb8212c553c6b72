"""How well ways of training do on rows by which nothing was chosen."""

from __future__ import annotations

from fallline.evaluate.api import evaluate

__all__ = ["evaluate"]

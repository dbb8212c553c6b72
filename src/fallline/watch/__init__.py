"""The same trace from elsewhere: from Keras' own fit on any backend, a hand-written PyTorch loop, or Lightning."""

from __future__ import annotations

from fallline.watch.keras_fit import keras

__all__ = ["keras"]

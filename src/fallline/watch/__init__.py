"""The same trace from elsewhere: from Keras' own fit on any backend, a hand-written PyTorch loop, or Lightning."""

from __future__ import annotations

from fallline.watch.keras_fit import keras
from fallline.watch.lightning_fit import lightning
from fallline.watch.torch_loop import torch

__all__ = ["keras", "lightning", "torch"]

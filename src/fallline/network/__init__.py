"""Recipe to Keras model, and back out as stock layers."""

from __future__ import annotations

from fallline.network.mlp import MemberNetwork, build_mlp

__all__ = ["MemberNetwork", "build_mlp"]

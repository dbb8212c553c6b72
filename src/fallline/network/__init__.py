"""Recipe to Keras model, and back out as stock layers."""

from __future__ import annotations

from fallline.network import builders
from fallline.network.build import build_network
from fallline.network.lsuv import lsuv
from fallline.network.member import MemberNetwork
from fallline.network.mlp import build_mlp
from fallline.network.pretraining import pretrain

__all__ = ["MemberNetwork", "build_mlp", "build_network", "builders", "lsuv", "pretrain"]

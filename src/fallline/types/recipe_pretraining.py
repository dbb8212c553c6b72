"""The section of a recipe about unsupervised pre-training."""

from __future__ import annotations

from dataclasses import dataclass

from fallline.types.recipe_entry import entry as _entry

__all__ = ["PretrainingRecipe"]


@dataclass(frozen=True)
class PretrainingRecipe:
    """What happens to the hidden layers, one after another from the input, before the network is trained as a whole."""

    method: str = _entry(
        "none",
        "autoencoder: each hidden layer learns to reproduce its inputs; denoising: from inputs of which some are "
        "silenced; contractive: with a penalty on how much it answers to small changes; rbm: as a restricted Boltzmann "
        "machine by contrastive divergence; supervised: to predict the targets through an output of its own",
        choices=("none", "autoencoder", "denoising", "contractive", "rbm", "supervised"),
    )
    layer_epochs: int = _entry(20, "passes over the training rows for each layer", low=1, high=100_000)
    layer_rate: float = _entry(0.001, "step size (Adam; plain steps for rbm)", above=0.0)
    layer_batch: int = _entry(64, "examples per step", low=1)
    silenced: float = _entry(0.2, "share of the inputs that are set to 0 at random (denoising)", low=0.0, high=0.95)
    contraction: float = _entry(0.1, "weight of the squared norm of the Jacobian (contractive)", low=0.0)
    gibbs_steps: int = _entry(1, "k of CD-k: steps of Gibbs sampling for the negative phase (rbm)", low=1, high=10_000)

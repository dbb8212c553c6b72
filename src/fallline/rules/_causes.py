"""Which symptom can cause which, and which of them a successful training excuses: the story behind many alarms."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CAUSAL_ORDER", "EXCUSED", "EXPLAINS", "ONLY_WHEN_SERIOUS", "WELL_LEARNED"]

# Where in the chain from data to score a symptom stands: earlier ones can cause later ones, not the other way round.
# Findings of equal severity are ranked in this order.
CAUSAL_ORDER: tuple[str, ...] = (
    # the data
    "missing-values",
    "suspect-labels",
    "inputs-not-scaled",
    # the model as it was written
    "output-loss-mismatch",
    "targets-out-of-range",
    # the data again
    "targets-not-scaled",
    "not-shuffled",
    "class-imbalance",
    # the model again
    "no-nonlinearity",
    "symmetric-units",
    "bad-initial-scale",
    "over-regularised",
    "learning-rate-too-high",
    "learning-rate-too-low",
    "batch-size-unsuited",
    "batch-norm-with-dropout",
    "capacity-unsuited",
    "inputs-correlated",
    # the optimisation
    "saturated-units",
    "dead-relu",
    "vanishing-gradients",
    "exploding-gradients",
    "divergence",
    "layer-not-learning",
    "ill-conditioned",
    # what the curves show
    "oscillation",
    "underfit-flat",
    "underfit-stopped-early",
    "plateau",
    "overfit",
    "unrepresentative-training-set",
    "unrepresentative-validation-set",
    "no-skill",
    # over many runs, and remarks
    "validation-overfitted",
    "high-variance-over-seeds",
    "best-value-on-border",
    "good-fit",
)

_FLAT = frozenset({"underfit-flat", "underfit-stopped-early", "plateau", "no-skill"})
_STILL = frozenset({"layer-not-learning", "ill-conditioned"}) | _FLAT
_FADING = frozenset({"saturated-units", "dead-relu", "vanishing-gradients"}) | _STILL
_WILD = frozenset({"exploding-gradients", "divergence", "oscillation", "unrepresentative-validation-set"})
_RATES = frozenset({"learning-rate-too-high", "learning-rate-too-low"})
_GAPS = frozenset({"overfit", "unrepresentative-training-set", "unrepresentative-validation-set"})

# cause -> the symptoms it accounts for. A found cause turns them into notes and takes over the worst severity among
# them: one story, with one first remedy.
EXPLAINS: Mapping[str, frozenset[str]] = {
    "missing-values": frozenset({"inputs-not-scaled"}) | _WILD | _FADING | _RATES,
    # Where there is nothing to learn no rate is right, and what was explained says nothing of it.
    "suspect-labels": _FLAT | _GAPS | _RATES,
    "output-loss-mismatch": frozenset({"targets-out-of-range", "targets-not-scaled"}) | _WILD | _FADING | _RATES,
    "targets-out-of-range": frozenset({"targets-not-scaled"}) | _WILD | _FADING | _RATES,
    "inputs-not-scaled": frozenset({"targets-not-scaled"}) | _WILD | _FADING | _RATES,
    "targets-not-scaled": _WILD | _FADING | _RATES,
    "not-shuffled": _GAPS | _FLAT | {"oscillation", "class-imbalance"},
    "no-nonlinearity": frozenset({"underfit-flat", "capacity-unsuited", "no-skill"}),
    "symmetric-units": _FADING | {"capacity-unsuited", "learning-rate-too-low"},
    "bad-initial-scale": _WILD | _FADING | _RATES,
    # Dropout multiplies what it lets through by 1 / (1 - rate), and the gradients with it.
    "over-regularised": _STILL | {"vanishing-gradients", "learning-rate-too-low", "exploding-gradients"},
    "learning-rate-too-high": _WILD | _FADING,
    "learning-rate-too-low": frozenset({"underfit-flat", "underfit-stopped-early", "no-skill"}),
    "batch-size-unsuited": frozenset({"oscillation", "unrepresentative-validation-set", "underfit-stopped-early"}),
    "batch-norm-with-dropout": frozenset({"underfit-stopped-early", "unrepresentative-validation-set"}),
    "capacity-unsuited": frozenset({"underfit-flat", "no-skill"}),
    "saturated-units": frozenset({"vanishing-gradients"}) | _STILL,
    "dead-relu": frozenset({"vanishing-gradients"}) | _STILL,
    "vanishing-gradients": _STILL,
    "exploding-gradients": frozenset({"divergence"}) | _STILL | {"oscillation"},
    "divergence": _FLAT | _GAPS | {"oscillation", "layer-not-learning"},
    "layer-not-learning": _FLAT,
    "ill-conditioned": frozenset({"oscillation", "underfit-stopped-early"}),
    "oscillation": frozenset(
        {"unrepresentative-validation-set", "underfit-stopped-early", "underfit-flat", "no-skill"}
    ),
    "underfit-flat": frozenset({"no-skill", "unrepresentative-validation-set", "plateau"}),
    "underfit-stopped-early": frozenset({"no-skill"}),
    "overfit": frozenset({"no-skill", "unrepresentative-validation-set", "unrepresentative-training-set"}),
    "unrepresentative-training-set": frozenset({"no-skill", "unrepresentative-validation-set"}),
}
# A sigmoid where softmax is meant slows a training down; it does not make it flat. Such a cause explains others only
# where it is serious.
ONLY_WHEN_SERIOUS = frozenset({"output-loss-mismatch", "no-nonlinearity"})

# A network that explains this share of a constant prediction's loss on its training rows was not kept from learning:
# what only makes learning hard is then a remark.
WELL_LEARNED = 0.9
EXCUSED = frozenset(
    {
        "learning-rate-too-high",
        "learning-rate-too-low",
        "batch-size-unsuited",
        "batch-norm-with-dropout",
        "bad-initial-scale",
        "symmetric-units",
        "no-nonlinearity",
        "inputs-not-scaled",
        "targets-not-scaled",
        "inputs-correlated",
        "over-regularised",
        "capacity-unsuited",
        "saturated-units",
        "dead-relu",
        "vanishing-gradients",
        "exploding-gradients",
        "layer-not-learning",
        "ill-conditioned",
        "plateau",
    }
)

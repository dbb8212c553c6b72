"""Each rule about learning curves: handmade traces that must fire, and near misses that must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fallline.diagnose import diagnose, examine
from fallline.rules._curves import end_level, fall_at_end, finite, jitter, smooth
from fallline.rules._from_data import input_shift
from fallline.types import Diagnosis, Finding, Trace
from tests.make import decay, noise, sagging, trace


def named(result: Diagnosis, symptom: str) -> Finding | None:
    found = [finding for finding in result if finding.symptom == symptom]
    assert len(found) <= 1
    return found[0] if found else None


def symptoms(what: Any, **known: Any) -> set[str]:
    return {finding.symptom for finding in diagnose(what, known=known)}


# -------------------------------------------------------------------------------------------------- healthy runs

HEALTHY = {
    "plain": ({"loss": decay(0.7, 0.10, 80, 12), "val_loss": decay(0.7, 0.14, 80, 12)}, {}),
    "small noise": (
        {
            "loss": decay(0.7, 0.1, 80, 12) + noise(80, 0.002),
            "val_loss": decay(0.7, 0.15, 80, 12) + noise(80, 0.004, 1),
        },
        {},
    ),
    "early stopped, best restored": (
        {"loss": decay(0.7, 0.05, 70, 15), "val_loss": sagging(0.7, 0.20, 0.27, 70, 50)},
        {"restored": True, "best_epoch": 50, "stopped_early": True},
    ),
    "dropout: validation below a running training loss": (
        {"loss": decay(0.75, 0.30, 60, 10), "val_loss": decay(0.6, 0.12, 60, 10)},
        {"loss_is_running": True},
    ),
    "regression far above 1": ({"loss": decay(9e4, 800.0, 100, 15), "val_loss": decay(9e4, 950.0, 100, 15)}, {}),
    "converged in its first epoch, and known to be good": (
        {"loss": np.full(30, 0.02), "val_loss": np.full(30, 0.03)},
        {"reference_loss": 0.69},
    ),
    "noisy labels": (
        {"loss": decay(0.69, 0.55, 60, 8), "val_loss": decay(0.69, 0.58, 60, 8)},
        {"reference_loss": 0.69, "n_validation": 200},
    ),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_healthy_runs_are_silent(case: str) -> None:
    curves, known = HEALTHY[case]
    result = diagnose(trace(curves), known=known)
    assert result.healthy, str(result)
    assert {finding.symptom for finding in result} <= {"good-fit"}


def test_good_fit_is_said_and_only_then() -> None:
    assert symptoms(trace(HEALTHY["plain"][0])) == {"good-fit"}
    wide = {"loss": decay(0.7, 0.1, 80, 12), "val_loss": decay(0.7, 0.35, 80, 12)}
    assert "good-fit" not in symptoms(trace(wide))
    little = {"loss": decay(0.7, 0.62, 80, 12), "val_loss": decay(0.7, 0.63, 80, 12)}
    assert "good-fit" not in symptoms(trace(little), reference_loss=0.7)


# ----------------------------------------------------------------------------------------------------- underfit


@pytest.mark.parametrize("level", [0.69, 0.693, 0.72, 3.0])
def test_flat_at_the_level_of_knowing_nothing(level: float) -> None:
    result = diagnose(trace({"loss": np.full(20, level) + noise(20, 0.001)}), known={"reference_loss": 0.6931})
    found = named(result, "underfit-flat")
    assert found is not None
    assert found.severity == "serious"
    assert found.evidence["constant_prediction_loss"] == 0.6931


@pytest.mark.parametrize("loss", [np.full(20, 0.6), decay(0.69, 0.60, 20, 4)])
def test_a_flat_end_below_that_level_is_not_underfit(loss: np.ndarray) -> None:
    assert "underfit-flat" not in symptoms(trace({"loss": loss}), reference_loss=0.6931)


def test_flat_without_a_reference_is_said_with_low_confidence_unless_accurate() -> None:
    flat = 0.69 + 1e-4 * np.sin(np.arange(20.0))  # to the last digit the same would be a dead network
    found = named(diagnose({"loss": flat}), "underfit-flat")
    assert found is not None
    assert found.severity == "warning"
    assert found.confidence < 0.5
    assert named(diagnose({"loss": flat, "accuracy": np.full(20, 0.5)}), "underfit-flat") is not None
    assert named(diagnose({"loss": flat / 30, "accuracy": np.full(20, 0.99)}), "underfit-flat") is None


def test_still_falling_at_the_end() -> None:
    falling = {"loss": np.linspace(0.7, 0.4, 30), "val_loss": np.linspace(0.7, 0.45, 30)}
    found = named(diagnose(trace(falling)), "underfit-stopped-early")
    assert found is not None
    assert found.epoch == 30
    assert found.evidence["fall_in_last_fifth"] == pytest.approx(0.06, rel=1e-6)


def test_a_learning_rate_far_too_low_still_falls() -> None:
    assert "underfit-stopped-early" in symptoms(trace({"loss": np.linspace(0.75, 0.73, 60)}), reference_loss=0.693)


def test_a_loss_that_swings_in_evaluation_mode_alone_is_a_remark() -> None:
    """As under batch normalisation, whose averages lag behind."""
    calm = decay(2.2, 0.6, 20, 8)
    swinging = calm + 0.15 * (-1.0) ** np.arange(20)
    bent = decay(2.2, 0.0, 20, 2) + 0.03 * np.linspace(1, 0, 20) ** 0.5  # never turns, far down
    for running, severity in ((calm, "note"), (bent, "note"), (swinging, "warning"), (None, "warning")):
        curves = {"loss": swinging} | ({} if running is None else {"running_loss": running})
        found = named(diagnose(trace(curves)), "oscillation")
        assert found is not None
        assert found.severity == severity


def test_a_slow_fall_that_has_explained_nothing_is_said() -> None:
    slow = {"loss": 0.72 - 0.01 * (1 - np.exp(-np.arange(60) / 40))}
    assert "underfit-stopped-early" in symptoms(slow, reference_loss=0.69)
    assert "underfit-stopped-early" not in symptoms(slow, reference_loss=1.4)


def test_a_slope_that_levels_off_far_down_is_a_remark() -> None:
    """Most has been learned: a few more epochs would help a little, and that is no fault of the training."""
    for tau, end, reference, severity in (
        (24, 0.25, 1.1, "note"),
        (24, 0.25, 0.55, "warning"),  # little is explained
        (400, 0.25, 1.1, "warning"),  # as good as a straight line
    ):
        curve = decay(1.1, end, 60, tau)
        known = {"reference_loss": reference}
        found = named(diagnose(trace({"loss": curve}), known=known), "underfit-stopped-early")
        assert found is not None
        assert found.severity == severity


@pytest.mark.parametrize(
    ("curves", "known"),
    [
        ({"loss": decay(0.7, 0.2, 100, 20)}, {}),  # at rest
        ({"loss": np.linspace(0.7, 0.4, 30)}, {"stopped_early": True}),  # a criterion ended it
        (
            {"loss": np.linspace(0.7, 0.4, 30), "val_loss": sagging(0.7, 0.5, 0.6, 30, 15)},
            {},
        ),  # validation past its best
        ({"loss": decay(0.7, 0.0, 60, 15)}, {}),  # explains nearly everything
        ({"loss": np.linspace(0.7, 0.4, 30), "learning_rate": np.linspace(1e-3, 1e-6, 30)}, {}),  # the rate has ended
        ({"loss": np.linspace(0.7, 0.6, 4)}, {}),  # too short to say
    ],
)
def test_not_stopped_too_early(curves: dict[str, Any], known: dict[str, Any]) -> None:
    assert "underfit-stopped-early" not in symptoms(trace(curves), **known)


# ------------------------------------------------------------------------------------------------ generalisation


@pytest.mark.parametrize("best", [20, 50])
def test_overfit_names_the_epoch(best: int) -> None:
    curves = {"loss": decay(0.7, 0.01, 120, 20), "val_loss": sagging(0.7, 0.30, 0.60, 120, best) + noise(120, 0.005)}
    found = named(diagnose(trace(curves)), "overfit")
    assert found is not None
    assert found.epoch is not None
    assert abs(found.epoch - best) <= 5
    assert found.severity == "warning"


def test_overfit_is_serious_when_all_is_lost() -> None:
    curves = {"loss": decay(0.7, 0.01, 120, 20), "val_loss": sagging(0.7, 0.4, 1.4, 120, 30)}
    found = named(diagnose(trace(curves)), "overfit")
    assert found is not None
    assert found.severity == "serious"


def test_a_restored_best_epoch_is_overfit_only_when_its_gap_is_large() -> None:
    held = sagging(0.70, 0.45, 0.60, 80, 40)
    known = {"restored": True, "stopped_early": True, "reference_loss": 0.69, "n_validation": 300}
    assert "overfit" not in symptoms(trace({"loss": decay(0.7, 0.30, 80, 10), "val_loss": held}), **known)
    found = named(diagnose(trace({"loss": decay(0.7, 0.02, 80, 10), "val_loss": held}), known=known), "overfit")
    assert found is not None
    assert found.evidence["lost_share"] > 0.5


@pytest.mark.parametrize(("rows", "severity"), [(30, "note"), (54, "note"), (300, "warning"), (None, "warning")])
def test_a_rise_that_a_few_validation_rows_can_make_is_a_remark(rows: int | None, severity: str) -> None:
    curves = {"loss": decay(1.1, 0.01, 25, 4), "val_loss": sagging(1.0, 0.23, 0.37, 25, 9)}
    known = {"reference_loss": 1.09, "n_validation": rows, "loss_name": "categorical_crossentropy"}
    found = named(diagnose(trace(curves), known=known), "overfit")
    assert found is not None
    assert found.severity == severity


def test_learning_by_heart_is_serious_even_when_the_best_epoch_was_restored() -> None:
    curves = {"loss": decay(0.68, 0.3, 30, 15), "val_loss": np.linspace(0.69, 0.9, 30)}
    found = named(diagnose(trace(curves), known={"reference_loss": 0.693, "restored": True}), "overfit")
    assert found is not None
    assert found.severity == "serious"
    assert found.epoch is not None
    assert found.epoch <= 2


@pytest.mark.parametrize(
    "held",
    [
        decay(0.7, 0.2, 120, 20),
        decay(0.7, 0.2, 120, 20) + noise(120, 0.01),  # noise alone
        sagging(0.7, 0.20, 0.206, 120, 60),  # 3 %
    ],
)
def test_not_overfit(held: np.ndarray) -> None:
    assert "overfit" not in symptoms(trace({"loss": decay(0.7, 0.15, 120, 20), "val_loss": held}))


def test_a_jump_of_both_losses_at_the_end_is_not_overfit() -> None:
    loss, held = decay(1.0, 0.06, 50, 8), decay(1.0, 0.14, 50, 8)
    jump = np.where(np.arange(50) > 45, 1.0, 0.0)
    both = {"loss": loss + 0.03 * jump, "val_loss": held + 0.09 * jump}
    assert "overfit" not in symptoms(trace(both), reference_loss=1.1)
    assert "overfit" in symptoms(trace(both | {"loss": loss}), reference_loss=1.1)


def test_both_rising_is_not_overfit() -> None:
    rising = sagging(0.7, 0.3, 0.9, 60, 20)
    assert "overfit" not in symptoms(trace({"loss": rising, "val_loss": rising + 0.02}))


def test_a_wide_gap_that_stays() -> None:
    curves = {"loss": decay(0.7, 0.05, 80, 10), "val_loss": decay(0.7, 0.45, 80, 10)}
    known = {"reference_loss": 0.7, "n_validation": 200}
    found = named(diagnose(trace(curves), known=known), "unrepresentative-training-set")
    assert found is not None
    assert found.evidence["gap"] == pytest.approx(0.4, abs=0.01)
    assert "unrepresentative-training-set" not in symptoms(trace(curves), **(known | {"n_validation": 4}))  # chance
    narrow = {"loss": decay(0.7, 0.05, 80, 10), "val_loss": decay(0.7, 0.2, 80, 10)}
    assert "unrepresentative-training-set" not in symptoms(trace(narrow), **known)


def test_a_noisy_validation_loss() -> None:
    loss, held = decay(0.7, 0.2, 60, 10), decay(0.7, 0.25, 60, 10) + noise(60, 0.06)
    found = named(diagnose(trace({"loss": loss, "val_loss": held})), "unrepresentative-validation-set")
    assert found is not None
    assert found.evidence["val_noise"] == pytest.approx(0.06, rel=0.5)
    few = diagnose(trace({"loss": loss, "val_loss": held}), known={"n_validation": 40, "loss_name": "bce"})
    assert [f.severity for f in few if f.symptom == found.symptom] == ["note"]  # one row can make 0.1
    small = {"loss": decay(0.7, 0.66, 60, 10), "val_loss": np.full(60, 0.7) + noise(60, 0.005)}  # nothing was learned
    assert "unrepresentative-validation-set" not in symptoms(trace(small), reference_loss=0.7)
    equally = {"loss": loss + noise(60, 0.06, 3), "val_loss": held}
    assert "unrepresentative-validation-set" not in {
        f.symptom for f in diagnose(trace(equally)) if f.severity != "note"
    }


@pytest.mark.parametrize("curves", [{}, {"loss": decay(0.7, 0.1, 40, 5), "val_loss": np.linspace(7.0, 9.0, 40)}])
def test_validation_rows_of_another_scale_are_the_story_with_and_without_curves(curves: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    alike, raw, small = (input_shift(x, other) for other in (x[:30] + 1, 30 + 10 * x[:30], x[:30] / 100))
    assert max(alike.values()) < 3
    for found in (raw, small):
        result = examine(curves | found)
        assert [f.symptom for f in result if f.severity != "note"] == ["unrepresentative-validation-set"]
    assert "unrepresentative-validation-set" not in {f.symptom for f in examine(curves | alike)}
    assert input_shift(np.ones((5, 2)), np.zeros((5, 2))) == {}  # nothing varies


def test_an_easier_validation_set() -> None:
    curves = {"loss": decay(0.7, 0.40, 60, 10), "val_loss": decay(0.5, 0.10, 60, 10)}
    assert "unrepresentative-validation-set" in symptoms(trace(curves), n_validation=200)
    assert "unrepresentative-validation-set" not in symptoms(trace(curves), n_validation=200, loss_is_running=True)
    assert "unrepresentative-validation-set" not in symptoms(curves, n_validation=200)  # as in a Keras history
    near = {"loss": decay(0.7, 0.40, 60, 10), "val_loss": decay(0.7, 0.30, 60, 10)}
    assert "unrepresentative-validation-set" not in symptoms(trace(near), n_validation=200)


def test_too_few_validation_rows_to_tell() -> None:
    curves = {"loss": decay(0.7, 0.55, 60, 10), "val_loss": decay(0.7, 0.5, 60, 10)}
    assert "unrepresentative-validation-set" in symptoms(trace(curves), n_validation=8, reference_loss=0.69)
    assert "unrepresentative-validation-set" not in symptoms(trace(curves), n_validation=80, reference_loss=0.69)


# ---------------------------------------------------------------------------------------------------- optimisation


@pytest.mark.parametrize("swing", [0.05, 0.3])
def test_oscillation(swing: float) -> None:
    loss = decay(0.9, 0.4, 60, 8) + swing * np.where(np.arange(60) % 2, 1.0, -1.0)
    found = named(diagnose(trace({"loss": loss})), "oscillation")
    assert found is not None
    assert found.evidence["turns"] == 1.0


@pytest.mark.parametrize(
    "loss",
    [
        decay(0.9, 0.1, 60, 8) + noise(60, 0.003),
        decay(0.9, 0.1, 60, 8) + 0.3 * (np.arange(60) == 40),  # one spike
        0.5 + 0.4 * np.cos(np.arange(60) / 8),  # slow waves: a schedule, not steps that are too large
    ],
)
def test_no_oscillation(loss: np.ndarray) -> None:
    assert "oscillation" not in symptoms(trace({"loss": loss}))


def test_divergence_to_nan_names_the_epoch_and_is_the_only_story() -> None:
    loss = [0.7, 0.6, 0.9, 0.5, 1.4, 0.6, 3.0, 0.4, 9.0, 0.9, 50.0, 1e5, np.nan, np.nan]
    result = diagnose(trace({"loss": loss, "val_loss": loss}))
    assert result[0].symptom == "divergence"
    assert result[0].epoch == 13
    assert [f.symptom for f in result if f.severity != "note"] == ["divergence"]


def test_nan_from_the_first_epoch() -> None:
    result = diagnose(trace({"loss": [np.nan] * 5}))
    assert result[0].symptom == "divergence"
    assert result[0].epoch == 1


def test_infinity_counts_even_if_it_comes_back() -> None:
    assert diagnose(trace({"loss": [1.0, np.inf, 0.9, 0.8]}))[0].epoch == 2


def test_some_members_lost() -> None:
    good, bad = {"loss": decay(0.7, 0.1, 10, 2)}, {"loss": [0.7, np.nan] + [np.nan] * 8}
    found = named(diagnose(trace(good, good, bad)), "divergence")
    assert found is not None
    assert found.severity == "warning"
    assert found.evidence == {"epoch": 2, "networks_lost": 1, "networks": 3}
    found = named(diagnose(trace(good, bad, bad)), "divergence")
    assert found is not None
    assert found.severity == "serious"


def test_explosive_growth() -> None:
    found = named(
        diagnose(trace({"loss": np.concatenate([decay(0.7, 0.3, 10, 3), np.geomspace(0.5, 1e6, 10)])})), "divergence"
    )
    assert found is not None
    assert found.epoch is not None
    assert 11 <= found.epoch <= 13


@pytest.mark.parametrize(
    "loss",
    [
        [0.7, 0.5, np.nan, 0.4, 0.35, np.nan, 0.3],  # gaps: epochs that were not watched
        [0.7, 0.5, 40.0, 0.4, 0.35, 0.3, 0.3],  # a spike
        [0.7, 0.1, 0.01, 0.3, 0.5],  # worse than its best, but no worse than its start
    ],
)
def test_no_divergence(loss: list[float]) -> None:
    assert "divergence" not in symptoms(trace({"loss": loss}))


# --------------------------------------------------------------------------------------------- reading a curve


def test_finite_keeps_epochs() -> None:
    epochs, values = finite(np.array([np.nan, 2.0, np.inf, 4.0]))
    assert epochs.tolist() == [2, 4]
    assert values.tolist() == [2.0, 4.0]


def test_jitter_estimates_the_noise_and_ignores_the_trend() -> None:
    assert jitter(np.linspace(5, 1, 50)) < 1e-12
    assert jitter(decay(1.0, 0.1, 4000, 500) + noise(4000, 0.05)) == pytest.approx(0.05, rel=0.05)


def test_fall_at_end_is_least_squares() -> None:
    values = np.linspace(3.0, 1.0, 51) + noise(51, 0.01)
    end = values[-12:]
    fall, error = fall_at_end(values)
    assert fall == pytest.approx(-np.polyfit(np.arange(12), end, 1)[0] * 10)
    assert 0 < error < 0.02


def test_smooth_and_end_level_ignore_a_spike() -> None:
    values = np.ones(40)
    values[[20, 39]] = 9.0
    assert smooth(values).max() == 1.0
    assert end_level(values) == 1.0


@pytest.mark.parametrize("epochs", range(5))
def test_short_runs_are_not_examined_rather_than_healthy(epochs: int) -> None:
    result = diagnose(trace({"loss": decay(0.7, 0.1, epochs, 3), "val_loss": decay(0.7, 0.1, epochs, 3)}))
    assert not result.findings
    assert {"overfit", "underfit-flat", "good-fit"} <= set(result.not_examined)


def test_gaps_do_not_matter() -> None:
    loss, held = decay(0.7, 0.01, 120, 20), sagging(0.7, 0.30, 0.60, 120, 40)
    held[np.arange(120) % 5 != 4] = np.nan
    found = named(diagnose(trace({"loss": loss, "val_loss": held})), "overfit")
    assert found is not None
    assert found.epoch is not None
    assert abs(found.epoch - 40) <= 5


@pytest.mark.parametrize("start", [0.0, -3.0])
@pytest.mark.parametrize("reference", [None, 0.0])
def test_losses_that_start_at_or_below_zero_do_no_harm(start: float, reference: float | None) -> None:
    curves = {"loss": start + noise(30, 0.1), "val_loss": start + np.linspace(0, 3, 30) + noise(30, 1.0, 1)}
    curves["loss"][0] = start
    diagnose(trace(curves), known={"reference_loss": reference, "n_validation": 9})


def test_an_empty_trace_is_not_examined() -> None:
    empty = Trace.from_columns({name: [] for name in ("member", "epoch", "layer", "quantity", "value")})
    result = diagnose(empty)
    assert not result.findings
    assert not result.examined


def test_the_moving_median_is_that_of_every_window_and_serves_very_long_curves():
    from fallline.rules._curves import smooth

    values = np.random.default_rng(0).normal(size=503)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 25, mode="reflect"), 51)
    np.testing.assert_array_equal(smooth(values), np.median(windows, axis=1))
    assert len(smooth(np.linspace(0, 1, 300_000))) == 300_000

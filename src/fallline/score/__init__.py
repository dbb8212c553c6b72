"""Figures of merit with their uncertainty, and the two baselines that define skill.

Everything runs in float64 on the host. A model's score without an interval and without a baseline says little, so both
come from here: `score` attaches a 95 % interval to every figure, `baselines` scores a dummy and a linear model on the
same rows.

How the intervals are made:

* means and functions of means (log loss, accuracy, RMSE, MAE, R2): percentile bootstrap over rows (Efron 1979), all
  figures from the same resamples. Above ``BOOTSTRAP_ROWS`` rows the bootstrap's answer is normal to within its own
  noise, and the delta method (influence of each row on the figure) replaces it;
* AUC: the variance of DeLong, DeLong and Clarke-Pearson (1988, eq. 4-6) from every row's placement value, averaged
  over classes for the macro average, on the logit scale so that the interval stays inside (0, 1);
* an accuracy of exactly 0 or 1 leaves nothing to resample: there the exact binomial bound (Clopper and Pearson 1934).
"""

from __future__ import annotations

from fallline.score.area import area_under_curve
from fallline.score.baseline_models import baselines
from fallline.score.figures import MAIN_METRIC, score

__all__ = ["MAIN_METRIC", "area_under_curve", "baselines", "score"]

"""A run as text: what a person is told who prints it."""

from __future__ import annotations

from fallline.types import Run, Score, Trace


def test_a_printed_run_tells_its_seeds_its_rate_and_its_scores() -> None:
    facts = {
        "members": [{}, {}, {}], "best_epoch": 7,
        "seed_spread": {"members": 3, "mean": 0.5, "sd": 0.05, "min": 0.45, "max": 0.55},
        "learning_rate_found": {"suggestion": 0.004, "lowest": 0.001, "highest": 0.01, "networks": 5},
    }  # fmt: skip
    scores = (Score("rmse", 0.4, 0.3, 0.5, n=20), Score("rmse", 1.0, n=20, who="dummy"))
    columns = {"member": [0], "epoch": [9], "layer": [""], "quantity": ["loss"], "value": [0.5]}
    trace = Trace.from_columns(columns)
    run = Run(model=None, trace=trace, outcome="stopped_early", facts=facts, scores=scores)
    lines = str(run).splitlines()
    assert lines[0] == "stopped early after 9 epochs, the best was 7; 3 networks"
    assert lines[1] == "validation loss over 3 seeds: 0.5, standard deviation 0.05, from 0.45 to 0.55"
    assert lines[2] == "learning rate 0.004, found by a range test of 5 networks: 0.001 to 0.01"
    assert lines[3] == "rmse on 20 test rows: model 0.4 [0.3, 0.5], dummy 1"
    alone = str(run.with_(facts={"members": [{}]}, scores=()))
    assert "one seed: how far seeds lie apart is not known" in alone

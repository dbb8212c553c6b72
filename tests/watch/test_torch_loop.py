"""Watching a hand-written PyTorch loop, with PyTorch itself."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError, MissingPackageError
from fallline.types import Inside
from fallline.watch import statistics as s

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """Nested modules, chance, moving means, and an activation that is called as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.block = nn.Sequential(nn.Linear(8, 6), nn.Tanh())
        self.last = nn.Linear(6, 1)

    def forward(self, x: Any) -> Any:
        return self.last(self.block(self.drop(functional.relu(self.norm(self.first(x))))))


def rows(n: int = 100) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 4, generator=generator)
    return x, (x[:, :1] * x[:, 1:2] > 0).float()


def loop(
    make: Callable[[], Any] = Net,
    *,
    watching: bool = True,
    epochs: int = 3,
    optimizer: Callable[[Any], Any] = lambda p: torch.optim.Adam(p, 0.01),
    data: tuple[Any, Any] | None = None,
    **more: Any,
) -> tuple[Any, Any, Any]:
    """Train by the loop that people write; return (watcher, model, optimizer)."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - a look must not draw there either
    model = make()
    best = optimizer(model.parameters())
    x, y = data or rows()
    watch = fl.watch.torch(model, best, **more)

    def train(note: bool) -> None:
        for _ in range(epochs):
            model.train()
            for i in range(0, len(x), 20):
                best.zero_grad()
                loss = functional.binary_cross_entropy_with_logits(model(x[i : i + 20]), y[i : i + 20])
                loss.backward()
                best.step()
                if note:
                    watch.step(loss)
            model.eval()
            with torch.no_grad():
                held = functional.binary_cross_entropy_with_logits(model(x), y)
            if note:
                watch.epoch(val_loss=held)

    if watching:
        with watch:
            train(True)
    else:
        train(False)
    return watch, model, best


def inside_of(watch: Any) -> Inside:
    inside = watch.trace.inside
    assert isinstance(inside, Inside)
    return inside


def test_nothing_that_is_watched_changes() -> None:
    ends = []
    for watching in (True, False):
        _, model, best = loop(watching=watching)
        moments = [v for state in best.state_dict()["state"].values() for v in state.values()]
        ends.append([*model.state_dict().values(), *moments, torch.rand(3), torch.tensor(np.random.random())])  # noqa: NPY002
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert not best._optimizer_step_pre_hooks
        assert not best._optimizer_step_post_hooks
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_every_statistic_against_its_definition() -> None:
    def make() -> Any:
        return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))

    torch.manual_seed(0)
    model = make()
    x, y = rows()
    start = [p.detach().numpy().copy() for p in model.parameters()]
    hidden = model[0](x).detach().numpy()
    loss = functional.binary_cross_entropy_with_logits(model(x[:20]), y[:20])
    gradients = [g.numpy() for g in torch.autograd.grad(loss, list(model.parameters()))]

    watch, trained, _ = loop(make, optimizer=lambda p: torch.optim.SGD(p, 0.5), epochs=2)
    inside = inside_of(watch)
    assert (inside.layers, inside.kinds) == (("0", "1", "2"), ("Linear", "ReLU", "Linear"))
    assert (inside.activations, inside.output, inside.reason) == (("", "relu", ""), 2, "")
    wanted = s.weight_statistics(start[:1]) | s.gradient_statistics(gradients[:1])
    wanted |= s.update_statistics(start[:1], [start[0] - 0.5 * gradients[0]])
    wanted |= s.activation_statistics([hidden]) | {"twin_share": 0.0}
    for name, value in wanted.items():
        assert inside.values[name][0, 0, 0] == pytest.approx(value, rel=1e-5, nan_ok=True), name
    relu = s.activation_statistics([np.maximum(hidden, 0)], "relu", preactivations=[hidden])
    for name, value in relu.items():
        assert inside.values[name][0, 0, 1] == pytest.approx(value, rel=1e-5, nan_ok=True), name
    assert inside.network["gradient_norm"][0, 0] == pytest.approx(s.norm(gradients), rel=1e-5)
    end = [p.detach().numpy() for p in trained.parameters()]
    moved = s.network_statistics(end, start)
    assert inside.network["distance_from_start"][0, -1] == pytest.approx(moved["distance_from_start"], rel=1e-5)
    # The last look has no step after it, but the last step's gradient.
    assert np.isnan(inside.network["update_ratio"][0, -1])
    assert np.isfinite(inside.network["gradient_norm"][0, -1])


def test_layers_stand_in_forward_order_with_functions_among_them() -> None:
    watch, *_ = loop()
    inside = inside_of(watch)
    assert inside.layers == ("first", "norm", "relu", "drop", "block/0", "block/1", "last")
    assert inside.activations == ("", "", "relu", "", "", "tanh", "")
    assert inside.output == 6
    assert inside.epochs.tolist() == [0, 1, 2, 3]
    assert watch.trace.quantities == ("learning_rate", "running_loss", "val_loss")
    assert fl.diagnose(watch) == watch.diagnose()
    assert watch.run.facts["parameters"] == sum(p.numel() for p in Net().parameters())


def test_other_epochs_are_not_looked_at() -> None:
    watch, *_ = loop(epochs=5, every=2)
    assert inside_of(watch).epochs.tolist() == [0, 2, 4]
    assert watch.trace.n_epochs == 5


def test_units_of_images_and_sequences_are_channels() -> None:
    class Images(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.line = nn.Conv2d(1, 3, 2), nn.Conv1d(3, 4, 1)
            self.act, self.last = nn.ReLU(), nn.Linear(4, 1)
            nn.init.constant_(self.conv.bias, -50.0)

        def forward(self, x: Any) -> Any:
            x = self.act(self.conv(x.reshape(-1, 1, 2, 2)))
            return self.last(functional.relu(self.line(x.flatten(2))).mean(2))

    inside = inside_of(loop(Images)[0])
    assert inside.layers == ("conv", "act", "line", "relu", "last")
    assert inside.values["dead_share"][0, 0, 1] == 1.0
    assert float(inside.values["dead_share"][0, 0, 3] * 4).is_integer()  # of four channels


def test_optimizers_with_a_closure() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 1))
    best = torch.optim.LBFGS(model.parameters(), max_iter=2)
    x, y = rows()

    def closure() -> Any:
        best.zero_grad()
        loss = functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    with fl.watch.torch(model, best) as w:
        for _ in range(2):
            w.step(best.step(closure))
            w.epoch()
    assert (inside_of(w).values["update_norm"][0, :2, 0] > 0).all()
    assert (inside_of(w).values["gradient_norm"][0, :2, 0] > 0).all()


def test_lazy_modules_and_a_loop_that_ends_within_an_epoch() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.LazyLinear(1))
    x, y = rows()
    model_parameters = list(model.parameters())
    best = torch.optim.SGD(model_parameters, 0.1)
    with fl.watch.torch(model, best, epochs=9) as w:
        for _ in range(3):
            loss = functional.mse_loss(model(x), y)
            best.zero_grad()
            loss.backward()
            best.step()
            w.step(loss)
    assert w.trace.n_epochs == 1
    assert w.run.outcome == "stopped_early"
    assert np.isfinite(inside_of(w).values["weight_sd"][0, :, 0]).all()


def test_an_exception_is_passed_on_and_what_was_seen_is_kept() -> None:
    model = Net()
    w = fl.watch.torch(model, torch.optim.SGD(model.parameters()))

    def train() -> None:
        with w:
            w.step(0.5)
            w.epoch(val_loss=0.4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert w.run.outcome == "interrupted"
    assert w.trace.curve("running_loss").tolist() == [0.5]
    assert "not called" in inside_of(w).reason


def test_a_model_that_cannot_be_called_by_itself_still_gives_the_curves() -> None:
    class Moody(Net):
        def forward(self, x: Any) -> Any:
            if not self.training:
                raise RuntimeError("not now")
            return super().forward(x)

    model = Moody()
    best = torch.optim.SGD(model.parameters(), 0.1)
    x, y = rows(40)
    with fl.watch.torch(model, best) as w:
        for _ in range(2):
            best.zero_grad()
            loss = functional.mse_loss(model(x), y)
            loss.backward()
            best.step()
            w.step(loss)
            w.epoch()
    inside = inside_of(w)
    assert inside.reason == "the activations could not be watched: RuntimeError: not now"
    assert len(w.trace.curve("running_loss")) == 2
    assert np.isfinite(inside.values["gradient_norm"][0, :, list(inside.layers).index("first")]).all()
    assert model.training
    assert "divergence" in w.diagnose().examined


# ------------------------------------------------------------------------------------------------ planted faults


def test_dead_units_are_seen() -> None:
    def make() -> Any:
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
        nn.init.constant_(model[0].bias, -50.0)
        return model

    inside = inside_of(loop(make)[0])
    assert inside.values["dead_share"][0, :, 1].tolist() == [1.0] * 4
    assert inside.values["zero_share"][0, :, 1].tolist() == [1.0] * 4
    assert inside.values["gradient_norm"][0, :, 0].tolist() == [0.0] * 4
    assert inside.values["dead_share"][0, 0, 3] < 1


def test_a_learning_rate_far_too_high_is_seen() -> None:
    def make() -> Any:
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    x, y = rows()
    watch, *_ = loop(make, optimizer=lambda p: torch.optim.SGD(p, 1e4), data=(x * 100, y))
    assert inside_of(watch).network["update_ratio"][0, 0] > 1
    assert inside_of(watch).values["saturated_share"][0, -1, 1] > 0.9
    lost, *_ = loop(lambda: nn.Linear(4, 1), optimizer=lambda p: torch.optim.SGD(p, 1e38), data=(x * 1e5, y))
    assert lost.run.outcome == "diverged"
    found = [finding.symptom for finding in lost.diagnose()]
    assert found[0] == "inputs-not-scaled"  # the cause, of which the rest is a consequence
    assert "divergence" in found


def test_gradients_that_vanish_in_a_deep_sigmoid_network_are_seen() -> None:
    def make() -> Any:
        hidden = [part for _ in range(6) for part in (nn.Linear(8, 8), nn.Sigmoid())]
        return nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), *hidden, nn.Linear(8, 1))

    inside = inside_of(loop(make)[0])
    norms = inside.values["gradient_norm"][0, 0]
    weights = [norms[i] for i, kind in enumerate(inside.kinds) if kind == "Linear"]
    assert weights[0] < 1e-4 * weights[-1]
    assert all(a < b for a, b in itertools.pairwise(weights))


@pytest.mark.slow
def test_planted_faults_are_named_and_a_healthy_loop_is_not() -> None:
    def network(parts: list[Any], change: Callable[[Any], Any] = lambda model: None) -> Callable[[], Any]:
        def make() -> Any:
            model = nn.Sequential(nn.Linear(4, 16), *parts, nn.Linear(16, 1))
            change(model)
            return model

        return make

    deep = [part for _ in range(6) for part in (nn.Sigmoid(), nn.Linear(16, 16))]
    dead = network([nn.ReLU(), nn.Linear(16, 16), nn.ReLU()], lambda model: nn.init.constant_(model[0].bias, -50.0))
    wanted = {"dead-relu": dead, "vanishing-gradients": network([*deep, nn.Sigmoid()]), "": network([nn.ReLU()])}
    for symptom, make in wanted.items():
        watch, *_ = loop(make, epochs=12 if symptom else 30, data=rows(400))
        warned = [finding.symptom for finding in watch.diagnose() if finding.severity != "note"]
        assert warned[:1] == ([symptom] if symptom else [])
        assert {"inputs-not-scaled", "learning-rate-too-high"} <= set(watch.diagnose().examined)


# ------------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("model", "optimizer", "more", "words"),
    [
        (3, None, {}, "torch.nn.Module"),
        (None, 3, {}, "torch.optim.Optimizer"),
        (None, None, {"every": 0}, "every=0"),
        (None, None, {"epochs": -1}, "epochs=-1"),
    ],
)
def test_mistakes_are_named(model: Any, optimizer: Any, more: dict[str, Any], words: str) -> None:
    net = Net()
    with pytest.raises(InputError, match=words):
        fl.watch.torch(model or net, optimizer or torch.optim.SGD(net.parameters()), **more)


def test_step_and_epoch_belong_into_the_block() -> None:
    net = Net()
    w = fl.watch.torch(net, torch.optim.SGD(net.parameters()))
    for call in (lambda: w.step(0.1), w.epoch):
        with pytest.raises(InputError, match="within `with"):
            call()
    with w:
        for bad in (torch.zeros(2), "much"):
            with pytest.raises(InputError, match="not one number"):
                w.step(bad)
    with pytest.raises(InputError, match="used before"):
        w.__enter__()


def test_without_pytorch_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'fallline\[torch\]'"):
        fl.watch.torch(1, 2)

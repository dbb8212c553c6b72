"""What "auto" means, given the size and the kind of the problem."""

from __future__ import annotations

from dataclasses import replace

from fallline.types import ProblemKind, Recipe

__all__ = ["resolve"]


def resolve(recipe: Recipe, *, kind: ProblemKind, n_rows: int, n_features: int, n_outputs: int) -> Recipe:
    """Return the recipe without "auto" entries.

    Args:
        recipe: a checked recipe.
        kind: kind of problem.
        n_rows: rows for training and validation together.
        n_features: prepared features.
        n_outputs: width of the output layer.
    """
    regression = kind in ("regression", "multioutput")

    def pick(value, auto):
        return auto if value == "auto" else value

    small, medium = n_rows < 1000, n_rows < 5000
    net, opt, tr, st, sp, en = recipe.network, recipe.optimizer, recipe.training, recipe.stopping, recipe.split, recipe.ensemble
    net = replace(net,
        hidden=pick(net.hidden, (128, 128) if small else (256, 256, 256)),
        activation=pick(net.activation, "mish" if regression else "selu"),
        embedding=pick(net.embedding, "periodic"),
        dropout=pick(net.dropout, 0.15))
    opt = replace(opt,
        name=pick(opt.name, "adamw"),
        learning_rate=pick(opt.learning_rate, 0.01 if regression else 0.0025),
        beta_2=pick(opt.beta_2, 0.95),
        weight_decay=pick(opt.weight_decay, 0.02),
        schedule=pick(opt.schedule, "coslog4"))
    tr = replace(tr, epochs=pick(tr.epochs, 256 if small else 100), batch_size=pick(tr.batch_size, 64 if small else 256))
    st = replace(st, patience=pick(st.patience, 1000))
    folds = pick(sp.folds, 8 if medium else 5)
    sp = replace(sp, folds=folds)
    en = replace(en, members=pick(en.members, folds * 2 if small else folds))
    return replace(recipe, network=net, optimizer=opt, training=tr, stopping=st, split=sp, ensemble=en)

"""Treatments on what people have: recipes, runs, Keras models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline.errors import InputError
from fallline.recipe import default
from fallline.treatments import design_of, finished_model

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 3)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")


def model(*layers, loss="binary_crossentropy", optimizer="sgd"):
    import keras

    made = keras.Sequential([keras.Input((3,)), *layers])
    made.compile(optimizer, loss)
    return made


def kinds(design):
    return [one["class_name"] for one in design.model["config"]["layers"]]


def test_trained_weights_stay_where_shapes_allow():
    from keras import layers

    given = model(layers.Dense(8, "relu", name="first"), layers.Dense(1, "sigmoid", name="last"))
    treated = fl.treat(given, "use-leaky-relu").build()
    for before, after in zip(given.get_weights(), treated.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    wider = fl.treat(given, "wider-layers").build()
    assert wider.get_layer("first").units == 32


def test_several_treatments_one_after_another():
    from keras import layers

    given = model(layers.Dense(8, "sigmoid"), layers.Dense(8, "sigmoid"), layers.Dense(1, "sigmoid"))
    design = fl.treat(given, ["use-relu", "normalise-layers", "add-dropout"])
    assert design.treatments == ("use-relu", "normalise-layers", "add-dropout")
    expected = ["InputLayer", *["Dense", "Dropout", "BatchNormalization"] * 2, "Dense"]
    assert kinds(design) == expected


def test_the_output_is_made_to_fit_the_targets():
    from keras import layers

    given = model(layers.Dense(8, "relu"), layers.Dense(1, "softmax"))
    fixed = fl.treat(given, "fix-output", X, Y).build()
    assert fixed.layers[-1].activation.__name__ == "sigmoid"
    run = fl.train(fixed, X, Y, epochs=30, verbose=0, watch=False)
    assert run.trace.curve("loss")[-1] < run.trace.curve("loss")[0]
    activation_apart = model(layers.Dense(8, "relu"), layers.Dense(1), layers.Activation("softmax"))
    assert kinds(fl.treat(activation_apart, "fix-output", X, Y)) == ["InputLayer", "Dense", "Dense"]


def test_scaled_and_whitened_inputs_are_what_they_say():
    from keras import layers

    x = (X @ np.array([[1, 2, 0], [0, 1, 0], [0, 0, 3]]) + [5, -3, 100]).astype("float32")
    given = model(layers.Dense(4, "relu"), layers.Dense(1, "sigmoid"))
    scaled = fl.treat(given, "scale-inputs", x, Y).build().layers[0](x)
    np.testing.assert_allclose(np.mean(scaled, axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(scaled, axis=0), 1, atol=1e-4)
    white = np.asarray(fl.treat(given, "whiten-inputs", x, Y).build().layers[0](x), np.float64)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(3), atol=1e-3)


def test_an_input_of_ones_stays_the_bias_that_it_may_be():
    from keras import layers

    x = np.column_stack([X[:, 0] * 20 + 50, np.ones(len(X)), np.full(len(X), -500.0)])
    given = model(layers.Dense(1, use_bias=False), loss="mse")
    scaled = np.asarray(fl.treat(given, "scale-inputs", x.astype("float32"), X[:, 0]).build().layers[0](x))
    np.testing.assert_allclose(scaled[:, 1:], np.broadcast_to([1.0, -1.0], (len(x), 2)), atol=1e-6)
    assert scaled[:, 0].std() == pytest.approx(1.0, abs=1e-4)


def test_missing_values_are_filled():
    from keras import layers

    x = X.copy()
    x[::5, 1] = np.nan
    filled = fl.treat(model(layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")), "fill-missing", x, Y).build()
    assert np.isfinite(np.asarray(filled(x))).all()


def test_numbers_that_stand_for_gaps_are_left_out_and_cut_off():
    from keras import layers

    x = X * 2 + 5
    x[::4, 1] = -999.0
    filled = fl.treat(model(layers.Dense(1), loss="mse"), "fill-missing", x, X[:, 0])
    seen = np.asarray(filled.build().layers[0](x))
    present = np.arange(80) % 4 != 0
    np.testing.assert_allclose(seen[present].std(axis=0)[1], 1.0, rtol=1e-3)
    assert (seen[~present, 1] == -5.0).all()
    with pytest.raises(InputError, match="nothing to change"):
        fl.treat(filled, "fill-missing", x, X[:, 0])


def test_averaged_networks_have_names_of_their_own_and_keep_their_outputs():
    from keras import layers

    x = X * 2 + 5
    x[::4, 1] = -999.0
    given = model(layers.Dense(4, "tanh"), layers.Dense(1, "sigmoid"))
    design = fl.treat(given, ["fill-missing", "average-networks", "lower-learning-rate"], x, Y)
    dense = [layer for layer in design.build()._flatten_layers() if type(layer) is layers.Dense]
    assert len({layer.name for layer in dense}) == len(dense) == 10
    for name in ("use-relu", "add-dropout", "suit-initializer"):  # the members' outputs are no hidden layers
        with pytest.raises(InputError, match="nothing to change"):
            fl.treat(design, name, x, Y)


def half_squares(y, predicted):
    from keras import ops

    return ops.mean(ops.square(predicted - y)) / 2


def test_a_loss_of_the_users_own_stays():
    from keras import layers

    given = model(layers.Dense(1), loss=half_squares)
    treated = fl.treat(given, "lower-learning-rate").build()
    assert treated.loss is half_squares
    assert float(treated.optimizer.learning_rate) == pytest.approx(0.001)


def test_scaled_targets_are_turned_back():
    from keras import layers

    y = (500 + 30 * X[:, 0]).astype("float32")
    given = model(layers.Dense(1), loss="mse")
    design = fl.treat(given, "scale-targets", X, y)
    assert design.target_scale == pytest.approx((y.mean(), y.std()), rel=1e-4)
    trained = design.build()
    finished = finished_model(design, trained)
    expected = np.asarray(trained(X)) * design.target_scale[1] + design.target_scale[0]
    np.testing.assert_allclose(np.asarray(finished(X)), expected, rtol=1e-5)


def test_layers_that_share_an_input_are_followed():
    import keras
    from keras import layers

    given = keras.Input((3,))
    one = layers.Dense(6, name="one")(given)
    two = layers.Dense(6, name="two")(layers.ReLU(name="bend")(one))
    whole = keras.Model(given, layers.Dense(1, name="out")(layers.Add()([one, two])))
    whole.compile("adam", "mse")
    built = fl.treat(whole, "normalise-layers").build()
    assert [layer.name for layer in built.layers if "normalised" in layer.name] == ["one_normalised", "two_normalised"]
    assert built.count_params() == whole.count_params() + 2 * 4 * 6


def test_an_open_entry_asks_for_the_data_or_a_number():
    with pytest.raises(InputError, match="is decided by the data"):
        fl.treat(default(), "lower-learning-rate")
    problem = fl.make_problem(X, Y.astype(int))
    assert fl.treat(default(), "lower-learning-rate", problem).optimizer.learning_rate == pytest.approx(0.00025)


def test_a_run_of_a_table_gives_its_recipe():
    run = fl.train("simple", X, Y.astype(int), epochs=2, verbose=0, watch=False)
    assert fl.treat(run, "larger-batch").training.batch_size == 4 * run.recipe.training.batch_size


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"epochs": 10, "batch_size": 4}, {"epochs": 40, "batch_size": 16}),
        # 80 rows, a quarter of them at the most: from 6 steps an epoch, the last of them not full, to 4
        ({"epochs": 10, "batch_size": 15}, {"epochs": 15, "batch_size": 20}),
        ({"epochs": 10, "batch_size": 4, "early_stopping": 5}, {"epochs": 40, "batch_size": 16, "early_stopping": 20}),
        ({"epochs": 9, "batch_size": 4, "shuffle": True}, {"epochs": 36, "batch_size": 16, "shuffle": True}),
    ],
)
def test_larger_batches_take_as_many_steps(training, expected):
    from keras import layers

    given = design_of(model(layers.Dense(1, "sigmoid")), **training)
    assert dict(fl.treat(given, "larger-batch", X, Y).training) == expected
    longer = dict(fl.treat(given, "larger-batch").training)  # the rows are not known
    assert longer["epochs"] / training["epochs"] == longer["batch_size"] / training["batch_size"] == 4


def test_a_recipe_that_nothing_stops_takes_as_many_steps_with_larger_batches():
    plain = default("simple")
    fixed = replace(plain, training=replace(plain.training, epochs=10, batch_size=4),
                    stopping=replace(plain.stopping, criterion="none"))  # fmt: skip
    assert fl.treat(fixed, "larger-batch", X, Y.astype(int)).training.epochs == 40
    stopped = replace(fixed, stopping=replace(fixed.stopping, criterion="patience"))
    assert fl.treat(stopped, "larger-batch", X, Y.astype(int)).training.epochs == 10


@pytest.mark.parametrize(
    ("what", "name", "words"),
    [
        (default("simple"), "lower-learning-rat", "Did you mean 'lower-learning-rate'"),
        (default("simple"), "use-relu", "nothing to change"),
        ("default", "use-relu", "takes a Recipe, a Run"),
    ],
)
def test_mistakes_are_explained(what, name, words):
    with pytest.raises(InputError, match=words):
        fl.treat(what, name)


def test_models_that_have_no_config_are_refused():
    import keras

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(InputError, match="Sequential or a Functional"):
        fl.treat(Own(), "use-relu")
    with pytest.raises(InputError, match="not compiled"):
        fl.treat(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), "use-relu")

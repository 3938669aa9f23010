"""The encoder: any number of windows, by any engine, to the same embeddings."""

import threading

import numpy as np
import pytest

from detector.architecture import Architecture
from detector.bundle import BundleError
from detector.encoder import ENGINES, TOLERANCE, Encoder, choose_engine, open_encoder
from detector.inputs import Inputs
from tests.fakes import draft_bundle, make_rows, make_spec, make_weights, plain_embed

STEPS, INPUTS = 4, 3


@pytest.fixture(scope="module")
def models():
    """Make each engine's models but once: Keras compiles every size of batch."""
    made = {}

    def give(name, units, *, statistics=False, activation="sigmoid"):
        if name == "keras":
            pytest.importorskip("keras", reason="the keras engine needs the train extra")
        key = name, units, statistics, activation
        if key not in made:
            architecture = Architecture(INPUTS, units, 3, statistics, activation)
            weights = make_weights(architecture, seed=7)
            engine = ENGINES[name](architecture, weights, STEPS, 1)
            made[key] = engine, architecture, weights
        return made[key]

    return give


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("units", "statistics", "activation"),
    [
        ((8,), False, "sigmoid"),
        ((6, 5), False, "unit"),
        ((8,), True, "sigmoid"),
        ((), False, "sigmoid"),
        ((), True, "unit"),
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 17])
def test_every_engine_embeds_as_the_textbook_does(
    models, name, units, statistics, activation, batch
):
    """A link's verdict must not depend on which machine of the group judges it."""
    engine, architecture, weights = models(
        name, units, statistics=statistics, activation=activation
    )
    inputs = np.random.default_rng(batch).normal(0, 2, (batch, STEPS, INPUTS)).astype(np.float32)

    answer = engine.embed(inputs)

    assert answer.shape == (batch, 3)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, plain_embed(architecture, weights, inputs), atol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_keeps_its_name_and_takes_more_than_one_window(models, name):
    """The name is what /metrics and the log say; the tile is what the encoder cuts by."""
    engine, *_ = models(name, (8,))

    assert engine.name == name
    assert engine.tile > 1


class SumEngine:
    """Embeds a window as the sum of its inputs, three at a time, and notes how many came."""

    name = "sum"
    tile = 3

    def __init__(self, workers=1):
        self.workers = workers
        self.batches = []

    def warm_up(self, steps, inputs):
        """Nothing to warm up."""

    def embed(self, inputs):
        """Add up."""
        self.batches.append(len(inputs))
        return inputs.sum(axis=(1, 2))[:, None]


@pytest.mark.parametrize(
    ("count", "batches"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (8, [3, 3, 2])]
)
def test_a_large_batch_is_cut_into_tiles_and_put_together_again(count, batches):
    """An engine is never given more than it can take, and no window is lost between tiles."""
    draft = draft_bundle()
    inputs = Inputs(draft.manifest.inputs, draft.manifest.window)
    values = np.stack([make_rows("normal", 4, load + 1) for load in range(count + 1)])[1:]
    engine = SumEngine()

    answer = Encoder(inputs, engine, size=1).embed(values)

    assert engine.batches == batches
    np.testing.assert_allclose(answer[:, 0], inputs(values).sum(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 8])
def test_inputs_that_are_made_already_are_embedded_as_they_are(count):
    """Training hides some of them, and they must not be made of counters a second time."""
    draft = draft_bundle()
    encoder = Encoder(Inputs(draft.manifest.inputs, draft.manifest.window), SumEngine(), size=1)
    values = np.stack([make_rows("normal", 4, load + 1) for load in range(count + 1)])[1:]

    answer = encoder.embed_inputs(encoder.inputs(values))

    np.testing.assert_array_equal(answer, encoder.embed(values))
    assert answer.shape == (count, 1)


class MeetingEngine(SumEngine):
    """Goes on only when as many tiles are in hand as it takes at a time."""

    tile = 1

    def __init__(self, workers):
        super().__init__(workers)
        self._meeting = threading.Barrier(workers, timeout=10)

    def embed(self, inputs):
        """Wait for the others, then add up."""
        self._meeting.wait()
        return super().embed(inputs)


def test_as_many_tiles_run_side_by_side_as_the_engine_takes():
    """A machine's cores are paid for, and one tile after the other uses one of them."""
    draft = draft_bundle()
    inputs = Inputs(draft.manifest.inputs, draft.manifest.window)
    values = np.stack([make_rows("normal", 4, load) for load in (1, 10, 100)])

    answer = Encoder(inputs, MeetingEngine(workers=3), size=1).embed(values)

    np.testing.assert_allclose(answer[:, 0], inputs(values).sum(axis=(1, 2)), rtol=1e-5)


class BrokenEngine(SumEngine):
    """Fails on the second tile."""

    def embed(self, inputs):
        """Add up once."""
        if self.batches:
            raise MemoryError("no room")
        return super().embed(inputs)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_tile_that_fails_fails_the_batch(workers):
    """An error in a thread must not leave windows with numbers that nobody computed."""
    draft = draft_bundle()
    inputs = Inputs(draft.manifest.inputs, draft.manifest.window)
    values = np.stack([make_rows("normal", 4, load + 1) for load in range(7)])

    with pytest.raises(MemoryError, match="no room"):
        Encoder(inputs, BrokenEngine(workers), size=1).embed(values)


def test_a_window_is_embedded_alike_alone_and_in_company(encoder):
    """What a link is said to be must not depend on who else reported in that second."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 100, (150, *make_spec().shape)).astype(np.float32)

    together = encoder.embed(values)
    alone = np.concatenate([encoder.embed(values[row : row + 1]) for row in range(0, 150, 10)])

    np.testing.assert_allclose(together[::10], alone, atol=1e-6)


def test_an_encoder_that_agrees_with_the_golden_windows_opens():
    """The refusals below mean something only if the right weights pass."""
    draft = draft_bundle(units=(5, 4))

    encoder = open_encoder(draft, "onnxruntime", 1)

    assert encoder.engine.name == "onnxruntime"
    np.testing.assert_allclose(
        encoder.embed(draft.golden_windows), draft.golden_embeddings, atol=TOLERANCE
    )


def test_one_golden_window_that_is_off_by_little_more_than_rounding_is_enough():
    """An engine with a fault of its own must not judge a single window."""
    draft = draft_bundle()
    draft.golden_embeddings[3, 1] += 3 * TOLERANCE

    with pytest.raises(BundleError, match=r"off by 0\.0003 on the golden windows"):
        open_encoder(draft, "onnxruntime", 1)


def test_an_embedding_that_is_no_number_does_not_pass_the_self_test():
    """NaN is neither larger nor smaller than any limit."""
    draft = draft_bundle()
    draft.weights["dense.bias"][0] = np.nan

    with pytest.raises(BundleError, match="off by nan"):
        open_encoder(draft, "onnxruntime", 1)


def test_auto_takes_an_engine_that_is_listed():
    """Most operators never choose one."""
    encoder = open_encoder(draft_bundle(), "auto", 1)

    assert encoder.engine.name == choose_engine()
    assert choose_engine() in ENGINES

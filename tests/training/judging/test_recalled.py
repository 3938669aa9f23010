"""A bundle's recipe is what it was trained with, whatever that was."""

from dataclasses import fields, replace

import msgspec
import pytest

from tests.training.captures import TINY, make_table, tiny_training, write
from training.judging.recalled import recalled
from training.settings import Settings
from training.train import train

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")

ODD = Settings(
    links=("r[0-5]/*", "r6/core", "r7/*"),
    leave_out=("r7", "r[7-9]*"),
    labels=("normal", "blocked", "capacity-limited"),
    leave_kinds=("odd*", "odder"),
    kinds=True,
    features=("fwd_packets", "rev_packets", "fwd_invite", "rev_2xx"),
    steps=9,
    step_ms=1000,
    tail_seconds=2.0,
    inputs="counts",
    half_lives_seconds=(1.5, 4.0),
    masks=True,
    busier_first=True,
    superpose=False,
    load_span=2.0,
    thin=0.1,
    shift=0.2,
    average=0.3,
    missing=0.15,
    mirror=0.25,
    drop=0.05,
    units=(3, 2),
    statistics=True,
    embedding=3,
    activation="unit",
    head=False,
    loss="supervised-contrastive",
    miner="semi-hard",
    margin=0.25,
    normal_share=0.5,
    recovery_share=0.2,
    learning_rate=0.003,
    batch=12,
    batches=1,
    epochs=1,
    validation_share=0.4,
    refit=False,
    seed=7,
)


@pytest.fixture
def _eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def read_back(manifest):
    """Give a manifest as it is in a bundle on disk."""
    return msgspec.json.decode(msgspec.json.encode(manifest), type=type(manifest))


@pytest.mark.usefixtures("_eagerly")
def test_settings_that_are_all_unusual_come_back(tmp_path):
    """What is judged must be the recipe of the bundle, to the last setting."""
    usual = Settings()
    same = {
        item.name for item in fields(ODD) if getattr(ODD, item.name) == getattr(usual, item.name)
    }

    table = make_table()
    table.loc[table["link"] == "r6/access", "kind"] = "odder"  # a link that isn't learnt from

    bundle = train([write(table, tmp_path)], ODD, lambda *_: None)

    assert same == {"step_ms", "anchors"}  # all others would show if they were not recalled
    assert recalled(read_back(bundle.manifest)) == replace(ODD, leave_out=())


def test_the_tiny_recipe_comes_back():
    """Its runs that were left out are judged on now, in other folds."""
    bundle, _ = tiny_training()

    found = recalled(read_back(bundle.manifest))

    features = bundle.manifest.window.features
    assert found == replace(TINY, leave_out=(), features=features)
    assert len(features) == 5


def test_settings_that_a_bundle_of_before_lacks_get_their_defaults():
    """Older bundles are judged with what they were trained with, as far as anyone knows."""
    manifest = tiny_training()[0].manifest
    kept = {n: v for n, v in manifest.training.settings.items() if n not in ("margin", "thin")}
    training = msgspec.structs.replace(manifest.training, settings=kept | {"gone": 1})

    found = recalled(msgspec.structs.replace(manifest, training=training))

    assert found.margin == Settings().margin != TINY.margin
    assert found.thin == Settings().thin
    assert found.batch == TINY.batch

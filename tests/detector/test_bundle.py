"""The bundle: comes back as it was saved, and nothing that was altered ever loads as the same."""

import contextlib
import hashlib
import json
import random
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors import numpy as tensors

from detector.bundle import FILES, MANIFEST, BundleError, load, save
from detector.encoder import open_encoder
from detector.inputs import Inputs
from detector.oncall.difference import Canary, Recorded
from detector.parts import PARTS, file_of
from tests.fakes import NOON_MS, draft_bundle, make_bundle, make_rows, plain_embed

HEAD, CANARIES = file_of("head"), file_of("canaries")

GOLDEN = Path(__file__).parent / "golden" / "bundle-v1"
GOLDEN_ID = "cf9f92bcaba4"
MUTATIONS = 200
NAN, INF = np.float32(np.nan), np.float32(np.inf)


def contents(path):
    """Give every file's bytes by name."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def edit_manifest(path, change):
    """Change a bundle's manifest, as somebody with an editor would."""
    tree = json.loads((path / MANIFEST).read_text())
    change(tree)
    (path / MANIFEST).write_text(json.dumps(tree))


def replace_file(path, name, data):
    """Put *data* in a file's place, and its size and hash into the manifest."""
    (path / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(path, lambda tree: tree["files"].__setitem__(name, entry))


def edit_arrays(path, name, **arrays):
    """Replace arrays of a file, and keep the manifest's hashes right; None takes one out."""
    data = {key.replace("__", "."): value for key, value in arrays.items()}
    kept = tensors.load((path / name).read_bytes()) | data
    left = {key: value for key, value in kept.items() if value is not None}
    replace_file(path, name, tensors.save(left))


def draft_with_canaries():
    """Make a bundle that takes two recorded faults along; its windows have four rows."""
    draft = draft_bundle()
    labels = ("blocked", "capacity-limited")
    canaries = tuple(Canary(label, "a kind", "lab-1/access", NOON_MS) for label in labels)
    before = np.stack([make_rows("normal", 1)[0] for _ in labels])
    after = np.stack([make_rows(label, 4) for label in labels])
    return replace(
        draft,
        manifest=msgspec.structs.replace(draft.manifest, canaries=canaries),
        canaries=Recorded(canaries, before, after),
    )


def assert_same_arrays(left, right):
    """Compare all arrays of two bundles, NaN being equal to itself."""
    assert left.weights.keys() == right.weights.keys()
    for name, weight in left.weights.items():
        np.testing.assert_array_equal(weight, right.weights[name])
    for name in ("windows", "embeddings"):
        for what in ("anchor", "golden"):
            np.testing.assert_array_equal(
                getattr(left, f"{what}_{name}"), getattr(right, f"{what}_{name}")
            )


def test_what_is_saved_comes_back(tmp_path):
    """All that training found out has to reach the daemon, and nothing else."""
    draft = draft_bundle(units=(5, 6))

    identity = save(draft, tmp_path / "b")
    bundle = load(tmp_path / "b")

    assert_same_arrays(bundle, draft)
    assert msgspec.structs.replace(bundle.manifest, files={}) == draft.manifest
    assert bundle.id == identity
    assert bundle.labels == tuple(anchor.label for anchor in draft.manifest.anchors)


@pytest.mark.parametrize(
    "changes", [{"units": ()}, {"units": (), "statistics": True}, {"activation": "unit"}]
)
def test_every_architecture_comes_back_and_passes_the_self_test(tmp_path, changes):
    """What training can choose, the daemon has to be able to run."""
    bundle = make_bundle(tmp_path / "b", **changes)

    encoder = open_encoder(bundle, "onnxruntime", 1)

    assert bundle.manifest.architecture == draft_bundle(**changes).manifest.architecture
    np.testing.assert_allclose(
        encoder.embed(bundle.golden_windows), bundle.golden_embeddings, atol=1e-5
    )


def test_a_second_opinion_comes_back_as_well(tmp_path):
    """It is four kilobytes more, and has to say the same in the daemon as in training."""
    draft = draft_bundle(head=True)

    identity = save(draft, tmp_path / "b")
    bundle = load(tmp_path / "b")

    assert sorted(contents(tmp_path / "b")) == sorted([MANIFEST, *FILES, HEAD])
    assert bundle.id == identity != save(draft_bundle(), tmp_path / "without")
    assert bundle.head.labels == bundle.manifest.head == draft.head.labels
    np.testing.assert_array_equal(bundle.head.kernel, draft.head.kernel)
    np.testing.assert_array_equal(bundle.head.bias, draft.head.bias)


def test_a_bundle_without_a_second_opinion_has_none(tmp_path):
    """Whoever doesn't want one has a file less, and no label of it in the manifest."""
    bundle = make_bundle(tmp_path / "b")

    assert bundle.head is None
    assert bundle.manifest.head == ()
    assert HEAD not in contents(tmp_path / "b")


def test_a_bundle_that_knows_nothing_of_heads_loads(tmp_path):
    """Bundles of the first version have no such field, and are in use."""
    path = tmp_path / "b"
    make_bundle(path)
    edit_manifest(path, lambda tree: tree.pop("head"))

    assert load(path).head is None
    assert b'"head"' not in (GOLDEN / MANIFEST).read_bytes()
    assert load(GOLDEN).head is None


def list_a_head(path):
    """Let the manifest list a file of a head that it knows no labels of."""
    replace_file(path, HEAD, tensors.save({"kernel": np.zeros(1, "f4")}))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: (path / HEAD).unlink(), f"{HEAD}: No such file"),
        (lambda path: (path / HEAD).write_bytes(b"x"), f"{HEAD} is not the file"),
        (lambda path: edit_arrays(path, HEAD, kernel=None), "an array is missing"),
        (lambda path: edit_arrays(path, HEAD, bias=None), "an array is missing"),
        (lambda path: edit_arrays(path, HEAD, kernel=np.zeros((2, 3), "f4")), "head's weights"),
        (lambda path: edit_arrays(path, HEAD, bias=np.zeros(2, "f4")), "head's weights"),
        (lambda path: edit_arrays(path, HEAD, bias=np.zeros(3)), "not finite float32"),
        (lambda path: edit_arrays(path, HEAD, bias=np.full(3, NAN)), "not finite float32"),
        (lambda path: edit_manifest(path, lambda tree: tree["files"].pop(HEAD)), "does not list"),
        (lambda path: edit_manifest(path, lambda tree: tree.update(head=[])), "does not list"),
        (lambda path: edit_manifest(path, lambda tree: tree["head"].pop()), "head's weights"),
        (lambda path: edit_manifest(path, lambda tree: tree.update(head="x")), "Expected `array`"),
    ],
)
def test_a_second_opinion_that_is_missing_altered_or_does_not_fit_is_refused(tmp_path, spoil, why):
    """It is as much a part of what the id stands for as the encoder."""
    path = tmp_path / "b"
    make_bundle(path, head=True)
    spoil(path)

    with pytest.raises(BundleError, match=why):
        load(path)


def test_a_head_that_the_manifest_has_no_labels_of_is_refused(tmp_path):
    """A file more than the manifest speaks of is a slip, or worse."""
    path = tmp_path / "b"
    make_bundle(path)
    list_a_head(path)

    with pytest.raises(BundleError, match="does not list"):
        load(path)


def test_labels_of_the_manifest_and_of_the_head_must_be_the_same_in_memory_too():
    """Training has to fail before it writes a bundle whose opinions have the wrong names."""
    draft = draft_bundle(head=True)

    with pytest.raises(BundleError, match="the manifest describes another head"):
        replace(draft, head=replace(draft.head, labels=("a", "b", "c")))
    with pytest.raises(BundleError, match="only one of manifest and bundle has a head"):
        replace(draft, head=None)


def test_recorded_faults_come_back_as_well(tmp_path):
    """The daemon tests itself with what training recorded, to the last packet."""
    draft = draft_with_canaries()

    identity = save(draft, tmp_path / "b")
    bundle = load(tmp_path / "b")

    assert sorted(contents(tmp_path / "b")) == sorted([MANIFEST, *FILES, CANARIES])
    assert bundle.id == identity != save(draft_bundle(), tmp_path / "without")
    assert bundle.canaries.canaries == bundle.manifest.canaries == draft.canaries.canaries
    np.testing.assert_array_equal(bundle.canaries.before, draft.canaries.before)
    np.testing.assert_array_equal(bundle.canaries.after, draft.canaries.after)
    assert np.isnan(bundle.canaries.after).any()  # what was not observed is no fault's number


def edit_canary(**changes):
    """Make a change of the first canary's entry in a manifest."""
    return lambda path: edit_manifest(path, lambda tree: tree["canaries"][0].update(changes))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: (path / CANARIES).unlink(), f"{CANARIES}: No such file"),
        (lambda path: (path / CANARIES).write_bytes(b"x"), f"{CANARIES} is not the file"),
        (lambda path: edit_arrays(path, CANARIES, before=None), "an array is missing"),
        (lambda path: edit_arrays(path, CANARIES, after=None), "an array is missing"),
        (lambda path: edit_arrays(path, CANARIES, before=np.ones((1, 4), "f4")), "the shapes"),
        (lambda path: edit_arrays(path, CANARIES, before=np.ones((2, 3), "f4")), "the shapes"),
        (lambda path: edit_arrays(path, CANARIES, after=np.ones((2, 3, 4), "f4")), "the shapes"),
        (lambda path: edit_arrays(path, CANARIES, after=np.ones((2, 4), "f4")), "the shapes"),
        (lambda path: edit_arrays(path, CANARIES, before=np.ones((2, 4))), "not finite float32"),
        (lambda path: edit_arrays(path, CANARIES, before=np.full((2, 4), INF)), "not finite"),
        (lambda path: edit_arrays(path, CANARIES, after=np.full((2, 4, 4), -INF)), "not finite"),
        (lambda path: edit_arrays(path, CANARIES, before=-np.ones((2, 4), "f4")), "below 0"),
        (lambda path: edit_arrays(path, CANARIES, after=-np.ones((2, 4, 4), "f4")), "below 0"),
        (lambda path: edit_manifest(path, lambda t: t["files"].pop(CANARIES)), "does not list"),
        (lambda path: edit_manifest(path, lambda t: t.update(canaries=[])), "does not list"),
        (lambda path: edit_manifest(path, lambda t: t["canaries"].pop()), "the shapes"),
        (edit_canary(label="lossy"), "'lossy', which no anchor is a fault of"),
        (edit_canary(label="normal"), "'normal', which no anchor is a fault of"),
        (edit_canary(start_ms="noon"), "Expected `int`"),
        (edit_canary(more=1), "unknown field"),
    ],
)
def test_recorded_faults_that_are_missing_altered_or_do_not_fit_are_refused(tmp_path, spoil, why):
    """A canary that can't be found would cry that the detector is blind, for ever."""
    path = tmp_path / "b"
    save(draft_with_canaries(), path)
    load(path)
    spoil(path)

    with pytest.raises(BundleError, match=why):
        load(path)


def test_a_bundle_without_any_part_that_may_be_absent_loads(tmp_path):
    """Bundles of the first version know none of them, and are in use."""
    path = tmp_path / "b"
    make_bundle(path)
    edit_manifest(path, lambda tree: [tree.pop(name) for name in PARTS])

    assert set(load(path).parts.values()) == {None}
    assert not any(b'"%s"' % name.encode() in (GOLDEN / MANIFEST).read_bytes() for name in PARTS)
    assert set(load(GOLDEN).parts.values()) == {None}


def test_the_id_is_the_hash_of_the_manifest(tmp_path):
    """An operator can check with sha256sum which bundle a daemon says it runs."""
    bundle = make_bundle(tmp_path / "b")

    manifest = (tmp_path / "b" / MANIFEST).read_bytes()

    assert bundle.id == hashlib.sha256(manifest).hexdigest()[:12]


def test_the_same_bundle_is_the_same_bytes(tmp_path):
    """Same captures, same seed, same id: or nobody can tell what is live."""
    for name in "ab":
        make_bundle(tmp_path / name)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_another_seed_is_another_id(tmp_path):
    """Two trainings must not pass for each other."""
    assert make_bundle(tmp_path / "a").id != make_bundle(tmp_path / "b", seed=1).id


def test_a_bundle_is_json_and_safetensors_and_nothing_else(tmp_path):
    """A pickle, or a Keras archive, would run code of whoever wrote it."""
    make_bundle(tmp_path / "b")

    found = contents(tmp_path / "b")

    assert sorted(found) == sorted([MANIFEST, *FILES])
    json.loads(found[MANIFEST])
    for name in FILES:
        assert tensors.load(found[name])


def test_a_bundle_of_format_1_loads_for_ever():
    """A model that took a week of captures must not be lost to an upgrade of the daemon.

    It was written once, by `make_bundle(GOLDEN, units=(5, 4), statistics=True)`. Where this fails
    no released bundle loads any more: that is a format 2, and not a new golden file.
    """
    bundle = load(GOLDEN)
    manifest = bundle.manifest
    inputs = Inputs(manifest.inputs, manifest.window)

    encoder = open_encoder(bundle, "onnxruntime", 1)
    plain = plain_embed(manifest.architecture, bundle.weights, inputs(bundle.golden_windows))

    assert bundle.id == GOLDEN_ID
    assert bundle.labels == tuple(anchor.label for anchor in draft_bundle().manifest.anchors)
    np.testing.assert_allclose(plain, bundle.golden_embeddings, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(bundle.golden_windows), plain, atol=1e-5)


def flip_a_bit(rng, path):
    """Flip one bit of one file, as a bad disk does."""
    file = path / rng.choice([MANIFEST, *FILES])
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def cut_short(rng, path):
    """Cut one file, as a copy that was broken off does."""
    file = path / rng.choice([MANIFEST, *FILES])
    file.write_bytes(file.read_bytes()[: rng.randrange(file.stat().st_size)])


def make_longer(rng, path):
    """Add bytes to one file that is not text."""
    with (path / rng.choice(FILES)).open("ab") as file:
        file.write(bytes(rng.randrange(1, 9)))


def take_away(rng, path):
    """Remove one file."""
    (path / rng.choice([MANIFEST, *FILES])).unlink()


def exchange(rng, path):
    """Exchange two files of arrays."""
    one, two = rng.sample(FILES, 2)
    (path / one).rename(path / "x")
    (path / two).rename(path / one)
    (path / "x").rename(path / two)


def change_a_field(rng, path):
    """Change one value somewhere in the manifest to another one, of any type."""
    tree = json.loads((path / MANIFEST).read_text())
    place = tree
    while True:
        key = rng.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.2:
            break
        place = place[key]
    place[key] = rng.choice([None, -1, 0, 1, 10**6, 2**70, 0.5, 1e30, "", "x", [], {}, [0], True])
    (path / MANIFEST).write_text(json.dumps(tree))


def drop_a_field(rng, path):
    """Take one field out of one object of the manifest."""
    tree = json.loads((path / MANIFEST).read_text())
    objects = [tree, *tree["anchors"], *(one for one in tree.values() if isinstance(one, dict))]
    place = rng.choice(objects)
    del place[rng.choice(sorted(place))]
    (path / MANIFEST).write_text(json.dumps(tree))


def add_a_field(rng, path):
    """Add a field that this version does not know."""
    edit_manifest(path, lambda tree: rng.choice([tree, tree["window"]]).update(later=1))


DAMAGES = [
    flip_a_bit,
    cut_short,
    make_longer,
    take_away,
    exchange,
    change_a_field,
    change_a_field,
    change_a_field,
    drop_a_field,
    add_a_field,
]


@pytest.mark.parametrize("damage", dict.fromkeys(DAMAGES))
def test_a_damaged_bundle_is_refused_or_at_least_has_another_id(tmp_path, damage):
    """What a daemon says it runs is what it runs, whatever happened to the disk.

    Only the manifest has no hash beside it: it is what the id is the hash of.
    """
    path = tmp_path / "b"
    identity = make_bundle(path).id
    original = contents(path)
    rng = random.Random(damage.__name__)
    outcomes = []

    for _ in range(MUTATIONS * DAMAGES.count(damage) // len(DAMAGES)):
        damage(rng, path)
        altered = contents(path)
        found = None
        with contextlib.suppress(BundleError):
            bundle = load(path)
            open_encoder(bundle, "onnxruntime", 1)
            found = bundle.id
        outcomes.append((found, altered))
        shutil.rmtree(path)
        path.mkdir()
        for name, data in original.items():
            (path / name).write_bytes(data)

    assert None in [found for found, _ in outcomes]
    for found, altered in outcomes:
        assert altered != original
        assert found != identity
        # With an array altered nothing loads; with the manifest altered it may be another bundle.
        assert found is None or all(altered[name] == original[name] for name in FILES)


@pytest.mark.parametrize("missing", [MANIFEST, *FILES])
def test_the_message_says_which_bundle_and_which_file(tmp_path, missing):
    """An operator reads this line at night."""
    path = tmp_path / "b"
    make_bundle(path)
    (path / missing).unlink()

    with pytest.raises(BundleError) as caught:
        load(path)

    assert str(caught.value) == f"bundle {path}: {missing}: No such file or directory"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_altered_is_named(tmp_path, name):
    """Which file is bad says whether the copy or the training went wrong."""
    path = tmp_path / "b"
    make_bundle(path)
    data = bytearray((path / name).read_bytes())
    data[-1] ^= 1
    (path / name).write_bytes(data)

    with pytest.raises(BundleError, match=f"{name} is not the file that the manifest lists"):
        load(path)


@pytest.mark.parametrize("place", ["nowhere", "x" * 300, "nul\0", "file", "file/b"])
def test_a_path_that_is_no_bundle_is_an_error_of_ours(tmp_path, place):
    """A slip in the settings is to end with one line, not with a traceback."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(BundleError, match="bundle "):
        load(tmp_path / place)


def test_a_later_format_is_named_before_anything_else_is_complained_of(tmp_path):
    """The cure is to upgrade the daemon, not to look for a field."""
    path = tmp_path / "b"
    make_bundle(path)
    edit_manifest(path, lambda tree: tree.update(format=2, more={}) or tree.pop("window"))

    with pytest.raises(BundleError, match="format 2, this version reads 1"):
        load(path)


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"format": ' + b"[" * 200_000, b"\xff", b"7"])
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path, text):
    """Whatever the file holds, the daemon says which one it is and ends with 78."""
    path = tmp_path / "b"
    make_bundle(path)
    (path / MANIFEST).write_bytes(text)

    with pytest.raises(BundleError, match=MANIFEST):
        load(path)


def test_a_file_without_end_is_not_read_into_memory(tmp_path):
    """A wrong path may lead to a disk image, or to a device that never ends."""
    path = tmp_path / "b"
    make_bundle(path)
    (path / MANIFEST).unlink()
    (path / MANIFEST).symlink_to("/dev/zero")

    with pytest.raises(BundleError, match="larger than"):
        load(path)


@pytest.mark.parametrize(
    ("name", "arrays", "why"),
    [
        ("weights.safetensors", {"dense__bias": None}, "dense.bias don't fit"),
        ("weights.safetensors", {"dense__bias": np.full(3, NAN)}, "not finite float32"),
        ("weights.safetensors", {"dense__bias": np.zeros(3)}, "not finite float32"),
        ("weights.safetensors", {"more": np.zeros(3, np.float32)}, "more don't fit"),
        ("anchors.safetensors", {"windows": None}, "an array is missing"),
        ("anchors.safetensors", {"embeddings": None}, "an array is missing"),
        ("golden.safetensors", {"windows": None}, "an array is missing"),
        ("golden.safetensors", {"embeddings": None}, "an array is missing"),
        ("anchors.safetensors", {"embeddings": np.full((6, 3), NAN)}, "anchor .* not finite"),
        ("anchors.safetensors", {"windows": np.full((6, 4, 4), INF)}, "anchor .* not finite"),
        ("anchors.safetensors", {"embeddings": np.zeros((6, 3))}, "anchor .* not float32"),
        ("anchors.safetensors", {"embeddings": np.zeros((6, 2), "f4")}, "anchor .* another shape"),
        ("anchors.safetensors", {"windows": np.zeros((5, 4, 4), "f4")}, "anchor .* another shape"),
        ("golden.safetensors", {"windows": np.zeros((6, 3, 4), "f4")}, "golden .* another shape"),
        ("golden.safetensors", {"embeddings": np.full((6, 3), INF)}, "golden .* not finite"),
        ("golden.safetensors", {"windows": np.zeros((0, 4, 4), "f4")}, "no golden window"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_though_their_hash_is_right(
    tmp_path, name, arrays, why
):
    """A hash shows that nothing changed on the way, not that training wrote something usable."""
    path = tmp_path / "b"
    make_bundle(path)
    edit_arrays(path, name, **arrays)

    with pytest.raises(BundleError, match=why):
        load(path)


def test_a_file_that_is_no_safetensors_is_refused_though_its_hash_is_right(tmp_path):
    """The reader of that format must not be where the daemon ends."""
    path = tmp_path / "b"
    make_bundle(path)
    replace_file(path, FILES[0], b"hello")

    with pytest.raises(BundleError, match="is not safetensors"):
        load(path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tree: tree["labels"].pop(), "labels and the anchors' labels differ"),
        (lambda tree: tree["anchors"].pop(), "labels .* differ|another shape"),
        (lambda tree: tree.update(anchors=[], labels=[]), "no anchor"),
        (lambda tree: tree["architecture"].update(inputs=4), "inputs don't fit together"),
        (lambda tree: tree["architecture"].update(units=[9]), "don't fit the architecture"),
        (lambda tree: tree["architecture"].update(units=[0]), "not all from 1 to 4096"),
        (lambda tree: tree["window"].update(steps=5), "another shape"),
        (lambda tree: tree["window"].update(min_observed=2), "from 0 to 1"),
        (lambda tree: tree["files"].pop(FILES[0]), "does not list"),
        (lambda tree: tree["files"].update({"../x": {"size": 1, "sha256": ""}}), "does not list"),
        (lambda tree: tree["inputs"]["levels"][0].update(feature="jitter"), "needs 'jitter'"),
        (lambda tree: tree["inputs"]["ratios"][0]["over"].update(jitter=1), "needs 'jitter'"),
        (lambda tree: tree["inputs"]["ratios"][0].update(floor=0), "floor"),
    ],
)
def test_a_manifest_whose_parts_contradict_each_other_is_refused(tmp_path, change, why):
    """An edited bundle has to fail when it is loaded, not at the first window or never."""
    path = tmp_path / "b"
    make_bundle(path)
    edit_manifest(path, change)

    with pytest.raises(BundleError, match=why):
        load(path)


def test_the_self_test_trips_on_altered_weights_whose_hash_is_right(tmp_path):
    """Somebody can always write new hashes; the golden windows still know better."""
    path = tmp_path / "b"
    bundle = make_bundle(path)
    kernel = bundle.weights["lstm_0.kernel"].copy()
    kernel[0, 0] += 0.05
    edit_arrays(path, "weights.safetensors", lstm_0__kernel=kernel)

    altered = load(path)

    with pytest.raises(BundleError, match="self-test: onnxruntime is off by"):
        open_encoder(altered, "onnxruntime", 1)


@pytest.mark.parametrize("as_what", ["file", "folder", "empty folder"])
@pytest.mark.parametrize("may_replace", [True, False])
def test_what_is_not_a_bundle_is_never_overwritten(tmp_path, as_what, may_replace):
    """A slip in `--out` must not cost somebody a folder of captures."""
    path = tmp_path / "captures"
    if as_what == "file":
        path.write_text("precious")
    else:
        path.mkdir()
    if as_what == "folder":
        (path / "monday.csv").write_text("precious")

    with pytest.raises(BundleError, match="is not a bundle"):
        save(draft_bundle(), path, replace=may_replace)

    assert as_what == "file" or sorted(contents(path)) == ["monday.csv"][: as_what == "folder"]


def test_a_bundle_is_replaced_only_when_told_so(tmp_path):
    """The model that runs must not be lost to a training that was started in the wrong place."""
    path = tmp_path / "b"
    old = make_bundle(path)

    with pytest.raises(BundleError, match="if it is to be replaced"):
        save(draft_bundle(seed=1), path)
    kept = load(path).id
    new = save(draft_bundle(seed=1), path, replace=True)

    assert kept == old.id
    assert load(path).id == new != old.id
    assert [file.name for file in tmp_path.iterdir()] == ["b"]


@contextlib.contextmanager
def files_end_at(size_bytes):
    """Let every write beyond *size_bytes* fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size_bytes", [0, 1000, 2000])
def test_a_failure_while_writing_leaves_the_old_bundle_and_no_litter(tmp_path, size_bytes):
    """A full disk in the middle of a training must not take the live model with it."""
    path = tmp_path / "b"
    old = make_bundle(path)

    with files_end_at(size_bytes), pytest.raises(OSError, match="too large"):
        save(draft_bundle(seed=1), path, replace=True)

    assert load(path).id == old.id
    assert [file.name for file in tmp_path.iterdir()] == ["b"]


def test_others_may_read_what_is_saved(tmp_path):
    """The daemon runs as a user of its own."""
    make_bundle(tmp_path / "new" / "b")

    assert (tmp_path / "new" / "b").stat().st_mode & 0o777 == 0o755


def test_a_bundle_in_memory_is_checked_as_well():
    """Training has to fail before it writes what no daemon will load."""
    draft = draft_bundle()

    with pytest.raises(BundleError, match="golden windows or embeddings have another shape"):
        replace(draft, golden_embeddings=draft.golden_embeddings[:-1])


@pytest.mark.parametrize("label", ["unknown", "silent", "retired", "telemetry-lost"])
def test_a_label_that_the_daemon_itself_gives_is_refused(label):
    """A fault of that name could not be told from what it means already."""
    bundle = draft_bundle()
    renamed = [
        msgspec.structs.replace(one, label=label if one.label == "blocked" else one.label)
        for one in bundle.manifest.anchors
    ]
    labels = tuple(sorted({one.label for one in renamed}))
    manifest = msgspec.structs.replace(bundle.manifest, anchors=tuple(renamed), labels=labels)

    with pytest.raises(BundleError, match=label):
        replace(bundle, manifest=manifest)

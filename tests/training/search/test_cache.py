"""The cache gives back what was kept, and never anything else."""

import numpy as np
import pytest

from training.search.cache import Cache, key_of

MADE = {"a": np.arange(6.0).reshape(2, 3), "names": np.array(["x", "long"])}


def refuse():
    """Fail, where nothing is to be made."""
    raise AssertionError("made again")


def test_what_is_kept_is_not_made_again(tmp_path):
    """That is what it is for."""
    Cache(tmp_path).get("key", lambda: MADE)

    again = Cache(tmp_path).get("key", refuse)

    assert set(again) == set(MADE)
    for name, value in MADE.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize("left", [0, 30, -5])
def test_a_damaged_entry_is_made_again(left, tmp_path):
    """A full disk or a broken copy must not end a search."""
    cache = Cache(tmp_path)
    cache.keep("key", MADE)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:left])

    again = cache.get("key", lambda: MADE)

    np.testing.assert_array_equal(again["a"], MADE["a"])
    assert Cache(tmp_path).find("key") is not None


def test_nothing_pickled_is_kept_or_read(tmp_path):
    """A cache that is copied from elsewhere must not be able to run anything."""
    with pytest.raises(ValueError, match="allow_pickle"):
        Cache(tmp_path).keep("key", {"a": np.array([None])})

    np.savez(tmp_path / "evil.npz", a=np.array([None]))
    assert Cache(tmp_path).find("evil") is None


def test_every_fact_is_in_the_key():
    """What was made of something else is something else."""
    keys = {key_of(what="a", n=1), key_of(what="a", n=2), key_of(what="b", n=1), key_of(n=1)}

    assert len(keys) == 4

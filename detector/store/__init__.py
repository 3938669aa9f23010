"""The capture store: of the traffic that was judged, what is worth learning from.

Reads as `verdicts -> choice -> pending -> clerk -> table -> shelf`. The choice is pure; the store
runs it in a thread of its own, and the clerk writes in another, so that a slow disk delays nobody.
"""

from .store import CaptureStore, store_folder

__all__ = ["CaptureStore", "store_folder"]

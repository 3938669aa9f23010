"""Enrolments: where enrolled anchors are kept, so that every daemon picks them up.

On Kafka's compacted topic (`kafka`), in the bundle store's folder (`folder`), or both.
"""

from .folder import FolderEnrolments
from .keeping import (
    AllEnrolments,
    Enrolments,
    EnrolmentsRefusedError,
    EnrolmentsUnavailableError,
)

__all__ = [
    "AllEnrolments",
    "Enrolments",
    "EnrolmentsRefusedError",
    "EnrolmentsUnavailableError",
    "FolderEnrolments",
]

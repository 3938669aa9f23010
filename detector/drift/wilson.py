"""The lower limit of a share that was counted."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SURE = 1.645  # standard deviations: the true share is below the limit in 5 % of all cases


def lower(share: Floats | float, count: Floats | float) -> Floats:
    """Give what a share of *count* is at least, with 95 % confidence; 0 where count is.

    Source: Wilson 1927, the lower end of the score interval.

    >>> lower(0.5, 10).round(3).item(), lower(0.5, 1000).round(3).item()
    (0.269, 0.474)
    >>> lower(0.0, 10).item(), lower(1.0, 0).item()
    (0.0, 0.0)
    """
    share, count = np.asarray(share, np.float64), np.asarray(count, np.float64)
    safe = np.maximum(count, 1e-9)
    middle = share + SURE**2 / (2 * safe)
    half = SURE * np.sqrt(share * (1 - share) / safe + SURE**2 / (4 * safe**2))
    limit = (middle - half) / (1 + SURE**2 / safe)
    return np.where(count > 0, np.clip(limit, 0, 1), 0.0)

"""What goes wrong while something is enrolled."""


class EnrollingError(ValueError):
    """Something can't be enrolled, exported or imported; the message says why."""

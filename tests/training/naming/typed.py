"""Commands as they are typed."""

from typing import Any

from click.testing import CliRunner, Result

from training.naming.cli import label


def run(*words: Any) -> Result:
    """Type `anchorwatch label` and some words."""
    return CliRunner().invoke(label, [str(word) for word in words])

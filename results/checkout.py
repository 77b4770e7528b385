"""The state of the code that a study ran on."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commit(*used: str) -> str:
    """The short id of the commit, with "-dirty" where the paths differ from it; "unknown" outside of a checkout.

    Args:
        used: paths below the root that decide the result; none leaves the mark out.
    """
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if told.returncode:
        return "unknown"
    changed = used and subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *used], cwd=ROOT, check=False).returncode
    return told.stdout.strip() + ("-dirty" if changed else "")

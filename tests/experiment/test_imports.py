"""Loading the package is cheap: what computes is loaded by what computes."""

from __future__ import annotations

import subprocess
import sys

MODULES = ("declaration", "power", "readout", "page", "offline", "rollout")
HEAVY = ("tea_tasting", "ibis", "scipy", "matplotlib", "pandas", "dagster", "torch")


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    imports = "; ".join(f"import holley_assets.experiment.{name}" for name in MODULES)
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; {imports}; print([name for name in {HEAVY} if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"

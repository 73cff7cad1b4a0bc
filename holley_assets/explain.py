"""``python -m holley_assets.explain``: the command ``holley explain``."""

from holley_assets.console.main import explain

if __name__ == "__main__":
    explain(prog_name="python -m holley_assets.explain")

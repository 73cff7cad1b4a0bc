"""``python -m holley_assets.compare``: the command ``holley compare``."""

from holley_assets.console.main import compare

if __name__ == "__main__":
    compare(prog_name="python -m holley_assets.compare")

"""``python -m holley_assets.console``: the command ``holley``, where its script is not on the path."""

from holley_assets.console.main import holley

if __name__ == "__main__":
    holley(prog_name="holley")

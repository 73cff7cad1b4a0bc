"""``python -m holley_assets.console``: the command ``holley``, where its script is not on the path."""

import sys

if __name__ == "__main__":
    try:
        from holley_assets.console.main import holley
    except ModuleNotFoundError as error:
        sys.exit(
            f"Error: {error.name} is not installed for {sys.executable}: install the project there with "
            "pip install --constraint holley_assets/deploy/constraints.txt ."
        )
    holley(prog_name="holley")

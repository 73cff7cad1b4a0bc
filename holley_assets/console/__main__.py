"""``python -m holley_assets.console``: the command ``holley``, where its script is not on the path."""

import sys

if __name__ == "__main__":
    # Whoever forgets the virtual environment may have a Python on which the project cannot be installed either.
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(
            "Error: {} is Python {}.{}, and holley_assets needs 3.11 or newer: run .venv/bin/python -m "
            "holley_assets.console, or make .venv with another Python".format(
                sys.executable, *sys.version_info
            )
        )
    try:
        from holley_assets.console.main import holley
    except ModuleNotFoundError as error:
        sys.exit(
            f"Error: {error.name} is not installed for {sys.executable}: install the project there with "
            "pip install --constraint holley_assets/deploy/constraints.txt ."
        )
    holley(prog_name="holley")

"""The build backend: hatchling, which is asked only on a Python that the project runs on.

pip compares the Python after the dependencies. On one that is too old it complains of the versions of some dependency,
and its advice to loosen them leads nowhere.
"""

import sys

# As ``requires-python`` in pyproject.toml.
OLDEST, TOO_NEW = (3, 11), (3, 14)

if not OLDEST <= sys.version_info[:2] < TOO_NEW:
    sys.exit(
        "holley-assets needs Python 3.11, 3.12 or 3.13, and this is {}.{}: remove the virtual environment and make it "
        "with another Python, such as python3.11 -m venv .venv".format(*sys.version_info)
    )

from hatchling.build import *  # noqa: E402, F403

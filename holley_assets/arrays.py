"""Look-ups in NumPy arrays that the graph and the ranker share, and the names of axes in all signatures.

``Float[Tensor, "profiles channels"]`` (jaxtyping) is a tensor of floating-point numbers with two axes. Axes of one name
are equally long within one call and within one dataclass. Annotations cost nothing in a run; the tests check them at
each call. ``"starts-1"`` is one less than an axis that was named before, ``"{count}"`` the value of that argument,
``"*shape"`` any number of axes, ``"_"`` an axis of any length, and ``""`` none.

===================  ====================================================================================
users                customers, as rows of ``user_nodes`` or of a table of scores
profiles             user nodes of the graph: users without history that share a car are one
owners               users with a history
products, variants   parts of the catalogue, and the SKUs that they are sold as
vehicles             makes and models
cars                 years of makes and models
classes              cars that the same parts fit
sets                 distinct sets of parts that visitors met together
edges                edges of one relation
people               users and visitors of a sample, by number
positives            user–product edges that are learned from or asked for
rows, starts         lists of different lengths laid end to end, and where each starts with, last, the end
entries              all entries of such lists
pairs                pairs of a row of one table and a row of another; ``fitting_pairs`` of a class and a part,
                     ``set_pairs`` of a set of parts and a class
choices              what users chose, one each time
asked, known, taken  what is looked up, looked among or kept
dimension            numbers of a vector
channels             the same with those that hold biases
folds                learned from, held out
===================  ====================================================================================
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int64


def find_sorted(
    keys: Int[np.ndarray, "asked"], sorted_keys: Int[np.ndarray, "known"]
) -> Int64[np.ndarray, "asked"]:
    """Position of each key in ``sorted_keys`` (distinct, ascending, from 0 up); −1 where it is absent."""
    limit = int(sorted_keys[-1]) + 1 if len(sorted_keys) else 0
    if limit <= 4 * len(keys):
        # A table of all possible keys, and one more entry that every other key points at.
        table = np.full(limit + 1, -1, np.int64)
        table[sorted_keys] = np.arange(len(sorted_keys))
        return table[np.where((keys >= 0) & (keys < limit), keys, limit)]
    positions = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[positions] == keys, positions, -1).astype(np.int64)

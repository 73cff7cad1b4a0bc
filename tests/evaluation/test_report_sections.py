"""What the report shows of the vectors."""

import numpy as np
import pyarrow as pa

from holley_assets.evaluation.report_sections import nearest_vehicles


def test_vehicles_are_near_whose_owners_have_like_vectors() -> None:
    """Two Mustang owners share a profile, the third has its own; the Camaro lies beside them, the Ram apart."""
    users = pa.table(
        {
            "make": pa.array(["FORD"] * 3 + ["CHEVROLET", "DODGE"]).dictionary_encode(),
            "model": pa.array(["MUSTANG"] * 3 + ["CAMARO", "RAM"]).dictionary_encode(),
        }
    )
    profiles = pa.table({"profile": pa.array([0, 0, 3, 1, 2], pa.int32())})
    vectors = np.array([[0, 1], [1, 0], [0.6, 0.8], [-1, 0], [0, 1]], np.float32)
    embeddings = pa.table(
        {
            "view": ["training"] * 4 + ["serving"],
            "profile": pa.array([1, 0, 3, 2, 0], pa.int32()),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 2),
        }
    )
    first, *_ = nearest_vehicles(users, profiles, embeddings)
    assert first["of"] == "FORD MUSTANG"
    assert [item["name"] for item in first["nearest"]] == ["CHEVROLET CAMARO", "DODGE RAM"]
    mean = np.array([2 * 1 + 0.6, 0.8])
    assert np.isclose(first["nearest"][1]["similarity"], -mean[0] / np.linalg.norm(mean))

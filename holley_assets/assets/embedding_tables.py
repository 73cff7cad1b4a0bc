"""The vectors as tables of the warehouse, ready for a search by nearest neighbours."""

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.assets.kept_versions import name_beside
from holley_assets.assets.step import Step
from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
    EMBEDDING_TABLES,
)
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    DELIVERY,
    OWNERS,
)
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
)
from holley_assets.core.output_tables import (
    OUTPUT_DATASET,
    OUTPUT_TABLE,
)
from holley_assets.evaluation.vectors import vectors_of_view
from holley_assets.resources.lease import LeaseError
from holley_assets.resources.run_lease import require_lease
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource

USERS, PRODUCTS = "user_embeddings", "product_embeddings"


def user_vectors(user_embeddings: pa.Table, user_profiles: pa.Table, run_id: str) -> pa.Table:
    """``profile, emails, embedding, model_version, run_id``: one row a vector, with all customers who share it.

    Args:
        user_embeddings: asset of that name.
        user_profiles: asset of that name.
        run_id: of the run that publishes.
    """
    vectors = vectors_of_view(user_embeddings, "serving").sort_by("profile")
    profiles = user_profiles["serving_profile"].to_numpy()
    order = np.argsort(profiles, kind="stable")
    counts = np.bincount(profiles, minlength=vectors.num_rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    emails = user_profiles["email_lower"].cast(pa.string()).combine_chunks().take(pa.array(order))
    return pa.table(
        {
            "profile": vectors["profile"].cast(pa.int64()),
            "emails": pa.ListArray.from_arrays(offsets, emails),
            **_columns(vectors, run_id),
        }
    )


def product_vectors(
    product_embeddings: pa.Table, ordered_pairs: pa.Table, pair_dimensions: int, run_id: str
) -> pa.Table:
    """``base_sku, embedding, source_embedding, target_embedding, model_version, run_id``: one row a part.

    ``source_embedding · target_embedding`` of two parts says how likely the second is bought with or after the first. A
    part that buyers never ordered before another has an empty source, and one that they never ordered after another an
    empty target.

    Args:
        product_embeddings: asset of that name.
        ordered_pairs: asset of that name.
        pair_dimensions: of source and target, which have one value more.
        run_id: of the run that publishes.
    """
    # SciPy, which no other step of this file needs.
    from holley_assets.ranking.similar_parts import pair_vectors

    vectors = vectors_of_view(product_embeddings, "serving")
    names = vectors["base_sku"].cast(pa.string()).combine_chunks()
    # As similar_parts learns them, once more: that takes less time than a table from step to step.
    directed = pair_vectors(ordered_pairs, pair_dimensions)
    places = pc.index_in(names, value_set=directed["base_sku"].combine_chunks())
    empty = pa.scalar([], pa.list_(pa.float64()))
    columns = _columns(vectors, run_id)
    return pa.table(
        {
            "base_sku": names,
            "embedding": columns.pop("embedding"),
            **{
                f"{side}_embedding": pc.fill_null(directed[side].combine_chunks().take(places), empty)
                for side in ("source", "target")
            },
            **columns,
        }
    )


def _columns(vectors: pa.Table, run_id: str) -> dict[str, pa.ChunkedArray | pa.Array]:
    return {
        "embedding": vectors["embedding"].cast(pa.list_(pa.float64())),
        MODEL_VERSION: vectors[MODEL_VERSION].cast(pa.string()),
        "run_id": pa.repeat(pa.scalar(run_id), vectors.num_rows),
    }


@dg.asset(
    key=EMBEDDING_TABLES,
    group_name=DELIVERY,
    owners=OWNERS,
    kinds={"duckdb", "bigquery"},
    # After the table that customers get: what its checks refuse is no vector to search by either.
    deps=[DELIVERED_TABLE],
)
def embedding_tables(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    user_profiles: pa.Table,
    user_embeddings: pa.Table,
    product_embeddings: pa.Table,
    ordered_pairs: pa.Table,
) -> Materialized:
    """Tables `temp_holley_gnn.user_embeddings` and `product_embeddings`: vectors as of `as_of`, as ARRAY<FLOAT64>.

    Parts have a source and a target vector too, which tell what is bought with or after what. A row of users is one
    vector and all customers who share it: those with the same car and no history do. Each table is replaced as a whole,
    without earlier versions beside it; vectors of an older day than the delivered table go beside them, as its rows do
    (HOLLEY_SERVING_OLDER_DAY). The score of a part for a customer is the dot product.
    holley_assets/deploy/README.md has queries for VECTOR_SEARCH.
    """
    step = Step(context, settings)
    tables = {
        USERS: user_vectors(user_embeddings, user_profiles, step.run_id),
        PRODUCTS: product_vectors(
            product_embeddings, ordered_pairs, step.settings.run.pair_dimensions, step.run_id
        ),
    }
    serving, rows = settings.load().serving, {}
    with one_line(WarehouseError, LeaseError):
        require_lease(step.run_id)
        opened = step.open(warehouse)
        for name, table in tables.items():
            beside = name_beside(
                opened, serving, OUTPUT_DATASET, name, step.windows.as_of, dated_by=OUTPUT_TABLE
            )
            if beside:
                step.log.warning(
                    f"{OUTPUT_DATASET}.{name} is of a later day and stays; these are in {beside}"
                )
            rows[beside or name] = opened.replace_table(
                OUTPUT_DATASET, beside or name, table, keep_snapshot=False
            )
    return dg.MaterializeResult(
        metadata={
            "rows": rows,
            "dimensions": len(tables[PRODUCTS]["embedding"][0]) if tables[PRODUCTS].num_rows else 0,
            **step.took(),
        }
    )

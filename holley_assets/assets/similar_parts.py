"""Parts beside a part, for other surfaces than e-mail: staged and judged, then published."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.assets.delivery import REFUSALS, publication_metadata
from holley_assets.assets.publisher import PublisherResource
from holley_assets.assets.step import Step
from holley_assets.checks.provenance import Lineage
from holley_assets.checks.recommendation_checks import rule_parameters
from holley_assets.checks.similar_parts_checks import (
    check_change,
    check_coverage,
    check_promises,
    similar_parts_check_specs,
)
from holley_assets.checks.staged_table import stage_recommendations
from holley_assets.core.asset_keys import SIMILAR_PARTS, SIMILAR_PARTS_TABLE
from holley_assets.core.failures import one_line
from holley_assets.core.groups import DELIVERY, OWNERS, RECOMMENDATIONS
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import AS_OF, MODEL_VERSION, SOURCE_KIND
from holley_assets.core.output_tables import OUTPUT_DATASET, SIMILAR_PARTS_OUTPUT
from holley_assets.pipeline.similar_parts import similar_parts_of_model
from holley_assets.resources.io_manager import write_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.interface import checksum
from holley_assets.resources.warehouse.interface import MissingTableError, Warehouse, WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource

_FITMENT_COLUMNS = ["year", "make", "model", "base_sku", "serving_sku"]


@dg.asset(
    key=SIMILAR_PARTS,
    group_name=RECOMMENDATIONS,
    owners=OWNERS,
    kinds={"arrow", "numpy"},
    ins={"fitment": dg.AssetIn("fitment", metadata={"columns": _FITMENT_COLUMNS})},
    check_specs=similar_parts_check_specs(),
    # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
    dagster_type=dg.Any,
)
def similar_parts(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    product_embeddings: pa.Table,
    ordered_pairs: pa.Table,
    fitment: pa.Table,
    parts: pa.Table,
) -> Materialized:
    """One row a part, relation and similar part: what could be bought instead of it, and what goes with it.

    `alternative`: parts of the same type, by the cosine of their vectors. `goes_with` is directed: parts that buyers
    ordered with the part or within HOLLEY_PAIR_WINDOW_DAYS after it, by a source vector of the one and a target vector
    of the other, which all ordered pairs teach, recent ones most. Both parts may be recommended and fit a year, make
    and model in common. `evidence` holds the number of buyers (0 below HOLLEY_PAIR_MINIMUM_BUYERS) and of cars that
    both fit. Staged, not delivered: its checks run on it in the warehouse, in this step.
    """
    step = Step(context, settings)
    table = similar_parts_of_model(
        product_embeddings,
        ordered_pairs,
        fitment=fitment,
        parts=parts,
        windows=step.windows,
        settings=step.settings,
    )
    path = step.staging_path(context.asset_key)
    write_parquet(table, path)
    found = step.took()
    step.begin()
    with one_line(WarehouseError):
        results = _verdicts(step, step.open(warehouse), table, parts, path)
    return dg.MaterializeResult(
        value=path,
        metadata={
            **_shown(table, step),
            MODEL_VERSION: product_embeddings[MODEL_VERSION][0].as_py(),
            **found,
            "seconds_checking": step.took()["seconds"],
        },
        check_results=results,
    )


def _verdicts(
    step: Step, opened: Warehouse, table: pa.Table, parts: pa.Table, path: Path
) -> list[dg.AssetCheckResult]:
    """All checks on the table, which ``path`` holds."""
    from holley_assets.ranking.similar_parts import eligible_parts

    checks = step.settings.checks
    return [
        *_judge(opened, path, step),
        check_coverage(table, len(eligible_parts(parts)[0]), checks.similar_parts_share),
        check_change(table, _last_published(opened), checks.similar_parts_change),
    ]


def _shown(table: pa.Table, step: Step) -> dict[str, int | str]:
    """Rows of each relation, and of what day and source they are."""
    relations = pc.value_counts(table["relation"]).to_pylist()
    return {
        **{f"rows_{each['values']}": each["counts"] for each in relations},
        AS_OF: step.windows.as_of.isoformat(),
        SOURCE_KIND: step.windows.source_kind,
    }


def _judge(opened: Warehouse, path: Path, step: Step) -> Iterator[dg.AssetCheckResult]:
    """Load the table into the warehouse and run the promises on it there, as the publisher asks for them."""
    parameters = rule_parameters(step.settings, step.windows)
    staged = stage_recommendations(opened, SIMILAR_PARTS.path[-1], path, checksum(path))
    shown = {**staged.metadata(), AS_OF: dg.MetadataValue.text(step.windows.as_of.isoformat())}
    judged = opened.with_staged({SIMILAR_PARTS.path[-1]: staged.name})
    with TemporaryDirectory() as folder:
        for result in check_promises(judged, parameters, Path(folder)):
            yield result._replace(metadata={**result.metadata, **shown})


def _last_published(opened: Warehouse) -> pa.Table | None:
    try:
        return opened.read_table(OUTPUT_DATASET, SIMILAR_PARTS_OUTPUT)
    except MissingTableError:
        return None


def build_similar_parts_table(
    required_checks: Sequence[dg.AssetCheckKey], lineage: Lineage
) -> dg.AssetsDefinition:
    """The asset that publishes the staged table once every one of ``required_checks`` has passed on it.

    Args:
        required_checks: blocking checks on the staged table and on all that it is made of.
        lineage: what the staged table is made of.
    """

    @dg.asset(
        key=SIMILAR_PARTS_TABLE,
        group_name=DELIVERY,
        owners=OWNERS,
        kinds={"duckdb", "bigquery"},
        deps=[SIMILAR_PARTS],
    )
    def similar_parts_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        publisher: PublisherResource,
    ) -> Materialized:
        """The published table `temp_holley_gnn.similar_parts`, replaced as a whole, with earlier versions beside it.

        Published by the procedure of `recommendations_table`: the verdicts of all blocking checks are held against the
        rows, the inputs, the settings and the day as they are now. Made by `weekly_retrain` alone: what is similar
        changes slowly.
        """
        step = Step(context, settings)
        with one_line(*REFUSALS):
            publication = publisher.publish(
                context,
                SIMILAR_PARTS_TABLE,
                SIMILAR_PARTS,
                checks=required_checks,
                lineage=lineage,
                windows=step.windows,
            )
        return dg.MaterializeResult(
            metadata={**publication_metadata(step, publication, len(required_checks))}
        )

    return similar_parts_table

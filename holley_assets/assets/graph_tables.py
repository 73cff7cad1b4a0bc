"""One asset a SQL file: the tables that the graph, the rules and the evaluation are made of."""

import dagster as dg

from holley_assets.assets.step import Step, with_windows
from holley_assets.checks.table_checks import check_table, table_check_specs
from holley_assets.core.event_log import (
    previous_rows,
)
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    GRAPH_TABLES,
    OWNERS,
)
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import (
    SOURCE_KIND,
)
from holley_assets.core.table_specs import (
    TABLE_SPECS,
    TableSpec,
)
from holley_assets.pipeline.options import query_parameters
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.sql_files import query_dependencies
from holley_assets.resources.warehouse_resource import WarehouseResource


def build_graph_table(spec: TableSpec) -> dg.AssetsDefinition:
    """Asset that runs ``sql/**/<name>.sql``, checks the file it wrote and publishes it."""

    @dg.asset(
        name=spec.name,
        description=spec.description,
        group_name=GRAPH_TABLES,
        owners=OWNERS,
        kinds={"sql", "duckdb", "bigquery"},
        deps=with_windows({*query_dependencies(spec.name), *spec.referenced_tables}),
        check_specs=table_check_specs(spec),
        # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
        dagster_type=dg.Any,
    )
    def graph_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        warehouse: WarehouseResource,
    ) -> Materialized:
        step = Step(context, settings)
        with one_line(WarehouseError):
            result = step.open(warehouse).query_to_parquet(
                spec.name,
                query_parameters(step.settings, step.windows),
                step.staging_path(context.asset_key),
            )
        queried = step.took()
        step.begin()
        checks = check_table(
            spec,
            result.path,
            step.asset_paths(spec.referenced_tables),
            previous=previous_rows(step.instance, spec.name, step.windows.source_kind),
            minimum_share=step.settings.checks.minimum_rows_share,
        )
        return dg.MaterializeResult(
            value=result.path,
            metadata={
                "dropped": dict(result.dropped),
                "dropped_rows": sum(result.dropped.values()),
                SOURCE_KIND: step.windows.source_kind,
                **result.costs,
                **queried,
                "seconds_checking": step.took()["seconds"],
            },
            check_results=checks,
        )

    return graph_table


graph_tables = [build_graph_table(spec) for spec in TABLE_SPECS]

"""What Dagster loads: assets, checks, jobs, schedules, sensors, resources. It imports no torch.

It reads no setting but where steps run and what they may use (``HOLLEY_COMPUTE_``) and when the jobs start
(``HOLLEY_SCHEDULE_``): no secret, and it needs neither credentials nor a network.
"""

from __future__ import annotations

import dagster as dg

from holley_assets.assets.champion import champion_model
from holley_assets.assets.controls import control_rankings
from holley_assets.assets.delivery import (
    build_recommendations_table,
)
from holley_assets.assets.embedding_tables import embedding_tables
from holley_assets.assets.evaluation import (
    evaluation_rankings,
    evaluation_rankings_before_rules,
    machine_click_rankings,
)
from holley_assets.assets.experiment import experiment_outcomes, experiment_readout
from holley_assets.assets.exploration import exploration
from holley_assets.assets.graph_tables import graph_tables
from holley_assets.assets.graphs import graphs
from holley_assets.assets.history import history
from holley_assets.assets.layers import layer_embeddings
from holley_assets.assets.mixtures import mixture_weights
from holley_assets.assets.model import embeddings, trained_checkpoint
from holley_assets.assets.publisher import PublisherResource
from holley_assets.assets.recommendations import recommendations
from holley_assets.assets.report import eval_report
from holley_assets.assets.run_comparison import run_comparison
from holley_assets.assets.serving import build_serving_table, mixed_recommendations, sql_recommendations
from holley_assets.assets.serving_switch import serving_switch
from holley_assets.assets.similar_parts import build_similar_parts_table, similar_parts
from holley_assets.assets.source_rows import source_rows
from holley_assets.assets.sources import source_tables
from holley_assets.assets.time_windows import time_windows
from holley_assets.automation.alert_sensor import alert_sensor
from holley_assets.automation.executor import build_executor
from holley_assets.automation.freshness_sensor import freshness_sensor
from holley_assets.automation.jobs import daily_score, explore, read_experiment, weekly_retrain
from holley_assets.automation.promotion import promote
from holley_assets.automation.rollback import rollback
from holley_assets.automation.schedules import schedules
from holley_assets.automation.serving_jobs import serve_graph_again, serve_sql_only
from holley_assets.automation.upstream_sensor import upstream_sensor
from holley_assets.checks.coverage_checks import most_vehicles_are_in_the_fitment_table
from holley_assets.checks.graph_checks import visitor_demand_is_of_before_the_cutoff
from holley_assets.checks.lineage import blocking_checks_upstream
from holley_assets.checks.output_watch import output_watch
from holley_assets.checks.provenance import lineage_of
from holley_assets.checks.recommendation_checks import recommendation_checks
from holley_assets.checks.serving_checks import serving_checks
from holley_assets.checks.source_watch import source_watch
from holley_assets.checks.warning_checks import (
    events_reach_the_test_window,
    share_of_cold_users_is_usual,
    test_set_can_decide,
)
from holley_assets.core.asset_keys import (
    MIXED,
    SIMILAR_PARTS,
    SQL_RECOMMENDATIONS,
    STAGED,
    TRAINED_CHECKPOINT,
)
from holley_assets.resources.io_manager import ParquetIOManager
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import ComputeSettings, load_section

_made = [
    time_windows,
    *graph_tables,
    source_rows,
    graphs,
    trained_checkpoint,
    embeddings,
    layer_embeddings,
    history,
    recommendations,
    sql_recommendations,
    mixed_recommendations,
    similar_parts,
    mixture_weights,
    evaluation_rankings,
    evaluation_rankings_before_rules,
    machine_click_rankings,
    control_rankings,
    run_comparison,
    eval_report,
]
_checks = [
    recommendation_checks,
    serving_checks,
    events_reach_the_test_window,
    test_set_can_decide,
    share_of_cold_users_is_usual,
    most_vehicles_are_in_the_fitment_table,
    visitor_demand_is_of_before_the_cutoff,
]
_settings = SettingsResource()
_warehouse = WarehouseResource()

# A model is older than what it scores, by design: which one may score is the registry's to say.
definitions = dg.Definitions(
    assets=[
        *source_tables,
        *_made,
        champion_model,
        serving_switch,
        embedding_tables,
        experiment_outcomes,
        experiment_readout,
        exploration,
        build_recommendations_table(
            blocking_checks_upstream(STAGED, _made, _checks),
            lineage_of(STAGED, _made, without=[TRAINED_CHECKPOINT]),
        ),
        build_similar_parts_table(
            blocking_checks_upstream(SIMILAR_PARTS, _made, _checks),
            lineage_of(SIMILAR_PARTS, _made, without=[TRAINED_CHECKPOINT]),
        ),
        build_serving_table(
            blocking_checks_upstream(MIXED, _made, _checks),
            required_without_graph=[
                *blocking_checks_upstream(SQL_RECOMMENDATIONS, _made, _checks),
                *(spec.key for spec in serving_checks.check_specs),
            ],
            lineage=lineage_of(MIXED, _made, without=[TRAINED_CHECKPOINT]),
            lineage_without_graph=lineage_of(MIXED, _made, without=[STAGED]),
        ),
    ],
    asset_checks=[*_checks, source_watch, output_watch],
    jobs=[
        weekly_retrain,
        daily_score,
        read_experiment,
        explore,
        promote,
        rollback,
        serve_sql_only,
        serve_graph_again,
    ],
    schedules=schedules,
    sensors=[upstream_sensor, freshness_sensor, alert_sensor],
    resources={
        "settings": _settings,
        "warehouse": _warehouse,
        "publisher": PublisherResource(settings=_settings, warehouse=_warehouse),
        "io_manager": ParquetIOManager(settings=_settings),
    },
    executor=build_executor(load_section(ComputeSettings)),
)

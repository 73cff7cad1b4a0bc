"""The notebook of ``holley_assets/explore``, run on the tables of the newest run."""

import dagster as dg

from holley_assets.assets.step import Step
from holley_assets.core.asset_keys import EXPLORATION
from holley_assets.core.groups import EXPLORATION as GROUP
from holley_assets.core.groups import OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.explore import NOTEBOOK
from holley_assets.resources.notebooks import execute, sentences, to_html, to_text
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import Reference

NOTEBOOK_FILE, HTML_FILE = "exploration.ipynb", "exploration.html"
# What the notebook reads; a test compares it with the notebook.
EXPLORED = (
    "co_purchased_edges",
    "daily_orders",
    "fitment",
    "fits_edges",
    "history_scores",
    "interaction_events",
    "parts",
    "popularity",
    "product_embeddings",
    "product_nodes",
    "serving_graph",
    "test_clicks",
    "trained_checkpoint",
    "user_embeddings",
    "user_nodes",
    "user_profiles",
    "visitor_demand",
)


@dg.asset(
    key=EXPLORATION,
    group_name=GROUP,
    owners=OWNERS,
    deps=list(EXPLORED),
    # The UI shows the source of an op that has both tags.
    op_tags={"notebook_path": str(NOTEBOOK), "kind": "ipynb"},
    kinds={"jupyter"},
)
def exploration(context: dg.AssetExecutionContext, settings: SettingsResource) -> Materialized:
    """What the tables and the model hold: demand, fitment, cold customers, pairs, vectors, one car's ranking.

    Reference to `exploration.ipynb`, the executed notebook; beside it lies `exploration.html`, one page that needs
    nothing else. Neither holds an e-mail address. Where a cell fails, both are kept as far as they came. Job `explore`
    makes it, and no other.
    """
    step = Step(context, settings)
    # Both freeze the settings where no step did before: the kernel comes second and reads them.
    step.log.info(f"The notebook reads {step.settings.run.data_dir}")
    executed = execute(context, NOTEBOOK)
    page = step.artifacts.publish_text(to_html(executed.notebook, "Exploration"), HTML_FILE)
    reference = step.artifacts.publish_text(to_text(executed.notebook), NOTEBOOK_FILE)
    metadata = {"says": dg.MetadataValue.md(sentences(executed.notebook)), **_files(step, reference, page)}
    if executed.error is not None:
        reason = f"The notebook ends in {executed.error}. What ran until then is in {step.store.location(page.path)}"
        # A failed step leaves the asset's page as it was: an observation brings the notebook there.
        context.log_event(dg.AssetObservation(EXPLORATION, description=reason, metadata=metadata))
        raise dg.Failure(reason, metadata=metadata, allow_retries=False)
    return dg.MaterializeResult(value=reference.to_table(), metadata={**metadata, **step.took()})


def _files(step: Step, reference: Reference, page: Reference) -> dict[str, dg.MetadataValue]:
    """Where the notebook and its page are. What lies in a bucket is none that a code server could show."""
    location = step.store.location(reference.path)
    as_notebook = dg.MetadataValue.path if step.store.is_remote else dg.MetadataValue.notebook
    return {
        "executed_notebook": as_notebook(location),
        "page": dg.MetadataValue.path(step.store.location(page.path)),
    }

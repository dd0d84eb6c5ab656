"""Write the dashboard: ``make dashboard``, after every change here.

``python deploy/grafana/dashboard.py`` writes ``dashboards/dandelion.json`` next to this file, or to
the path that is given.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

_PATH = Path(__file__).parent / "dashboards" / "dandelion.json"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

# What a panel selects: every instance that is chosen, and of it the models that are.
_OF_JOB = 'job=~"$job"'
_OF_INSTANCE = f'{_OF_JOB},instance=~"$instance"'
_OF_MODEL = f'{_OF_INSTANCE},model=~"$model"'
_RECORDED = f'{_OF_JOB},model=~"$model"'  # over all instances

_SHARE, _SECONDS, _PER_SECOND, _BYTES, _NUMBER = "percentunit", "s", "cps", "bytes", "short"


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        unit: of its values, as Grafana calls it.
        queries: PromQL by the name of its lines.
        width: of 24 columns.
        description: what a reader must know.
        repeated: whether there is one for each model.
    """

    title: str
    unit: str
    queries: dict[str, str]
    width: int = 8
    description: str = ""
    repeated: bool = False


def _rate(series: str, by: str, selected: str = _OF_MODEL, more: str = "") -> str:
    return f"sum by ({by}) (rate({series}{{{selected}{more}}}[$__rate_interval]))"


def _quantile(quantile: float, histogram: str, by: str) -> str:
    return f"histogram_quantile({quantile}, {_rate(f'{histogram}_bucket', f'{by}, le')})"


def _share(part: str, whole: str, by: str) -> str:
    return f"{part} / on ({by}) group_left () {whole}"


_REQUESTS = "dandelion_requests_total"
_DURATION = "dandelion_request_duration_seconds"
_STAGE = "dandelion_stage_duration_seconds"
_SHADOW = "model, shadow"

_STATE = (
    Panel("Ready", _NUMBER, {"{{instance}}": f"dandelion_ready{{{_OF_INSTANCE}}}"}, 4),
    Panel(
        "Models available",
        _NUMBER,
        {"{{model}}": f"min by (model) (dandelion_model_available{{{_OF_MODEL}}})"},
        8,
    ),
    Panel("Generation", _NUMBER, {"{{instance}}": f"dandelion_generation{{{_OF_INSTANCE}}}"}, 4),
    Panel(
        "Workers",
        _NUMBER,
        {"{{state}}": f"sum by (state) (dandelion_workers{{{_OF_INSTANCE}}})"},
        4,
    ),
    Panel(
        "Failed reloads in a day",
        _NUMBER,
        {
            "failed": "sum(increase(dandelion_reloads_total"
            f'{{{_OF_INSTANCE},outcome="failed"}}[1d]))'
        },
        4,
    ),
)

_ROWS: dict[str, tuple[Panel, ...]] = {
    "Traffic": (
        Panel("Requests", _PER_SECOND, {"{{model}}": _rate(_REQUESTS, "model")}),
        Panel("Texts", _PER_SECOND, {"{{model}}": _rate("dandelion_texts_total", "model")}),
        Panel(
            "Texts in a request, mean",
            _NUMBER,
            {
                "{{model}}": _rate("dandelion_batch_size_sum", "model")
                + " / "
                + _rate("dandelion_batch_size_count", "model")
            },
        ),
        Panel(
            "Requests in flight and waiting",
            _NUMBER,
            {
                "in flight": f"sum(dandelion_in_flight_requests{{{_OF_INSTANCE}}})",
                "waiting": f"sum(dandelion_waiting_requests{{{_OF_INSTANCE}}})",
            },
        ),
        Panel(
            "Texts by key",
            _PER_SECOND,
            {"{{key}}": _rate("dandelion_key_texts_total", "key", _OF_INSTANCE)},
            description="Without API keys there are no such series.",
        ),
        Panel(
            "Denied requests",
            _PER_SECOND,
            {"{{reason}}": _rate("dandelion_denied_requests_total", "reason", _OF_INSTANCE)},
        ),
    ),
    "Latency": (
        Panel(
            "Requests, median and 99th percentile",
            _SECONDS,
            {
                f"{{{{model}}}} p{share:g}": _quantile(share / 100, _DURATION, "model")
                for share in (50, 99)
            },
            description="From the first byte of the body to the last byte of the response.",
        ),
        Panel(
            "Stages, 99th percentile",
            _SECONDS,
            {"{{model}} {{stage}}": _quantile(0.99, _STAGE, "model, stage")},
        ),
        Panel(
            "Time of a text, by stage",
            _SECONDS,
            {
                "{{model}} {{stage}}": _share(
                    _rate(f"{_STAGE}_sum", "model, stage"),
                    _rate("dandelion_texts_total", "model"),
                    "model",
                )
            },
        ),
    ),
    "Errors and load": (
        Panel(
            "Responses by status",
            _PER_SECOND,
            {"{{status}}": _rate(_REQUESTS, "status", _OF_INSTANCE)},
            description="Of every model, unknown ones included.",
        ),
        Panel(
            "Share of 5xx",
            _SHARE,
            {
                "{{model}}": _rate(_REQUESTS, "model", more=',status=~"5.."')
                + " / "
                + _rate(_REQUESTS, "model")
            },
        ),
        Panel(
            "Texts with an error in the place of a result",
            _PER_SECOND,
            {"{{model}}": _rate("dandelion_text_errors_total", "model")},
        ),
        Panel(
            "Requests that were not classified",
            _PER_SECOND,
            {"{{reason}}": _rate("dandelion_shed_requests_total", "reason", _OF_INSTANCE)},
            description="client_gone: nobody waited any more. The others: lack of capacity.",
        ),
        Panel(
            "Connections closed, requests refused before the application",
            _PER_SECOND,
            {"{{reason}}": _rate("dandelion_connection_errors_total", "reason", _OF_INSTANCE)},
        ),
        Panel(
            "Bytes in flight and waiting",
            _BYTES,
            {
                "in flight": f"sum(dandelion_in_flight_body_bytes{{{_OF_INSTANCE}}})",
                "waiting": f"sum(dandelion_waiting_body_bytes{{{_OF_INSTANCE}}})",
            },
        ),
    ),
    "Decisions": (
        Panel(
            "Texts by label",
            _PER_SECOND,
            {"{{model}} {{label}}": _rate("dandelion_texts_total", "model, label")},
        ),
        Panel(
            "Decisions under policies",
            _PER_SECOND,
            {
                "{{model}} {{policy}} {{decision}}": _rate(
                    "dandelion_decisions_total", "model, policy, decision"
                )
            },
            description='The policy "request" is an operating point of a request.',
        ),
        Panel(
            "Share of positive texts, last hour",
            _SHARE,
            {
                "{{model}}": f"dandelion:positive_ratio:1h{{{_RECORDED}}}",
                "{{model}} reference": "max by (model) "
                f"(dandelion_reference_positive_ratio{{{_OF_MODEL}}})",
            },
        ),
    ),
    "Drift, last hour": (
        Panel(
            "Deviation of the share of positive texts",
            _NUMBER,
            {"{{model}}": f"dandelion:positive_ratio_deviation:1h{{{_RECORDED}}}"},
            description="From its reference, in standard errors. 4 are hardly chance.",
        ),
        Panel(
            "Population stability index",
            _NUMBER,
            {
                f"{{{{model}}}} {name.replace('_', ' ')}": f"dandelion:{name}_psi:1h{{{_RECORDED}}}"
                for name in ("score", "text_words", "unknown_word")
            },
            description="It is large of few texts, too: look at it from 1,000 texts on.",
        ),
        Panel(
            "Texts in the last hour",
            _NUMBER,
            {"{{model}}": f"dandelion:texts:increase1h{{{_RECORDED}}}"},
        ),
        Panel(
            "Unknown words of a text, mean",
            _SHARE,
            {"{{model}}": f"dandelion:unknown_word_ratio:mean1h{{{_RECORDED}}}"},
        ),
        Panel(
            "Texts without content",
            _SHARE,
            {
                "{{model}}": f"dandelion:no_content_ratio:1h{{{_RECORDED}}}",
                "{{model}} reference": "max by (model) "
                f"(dandelion_reference_no_content_ratio{{{_OF_MODEL}}})",
            },
        ),
        Panel(
            "Words of a text, mean",
            _NUMBER,
            {"{{model}}": f"dandelion:text_words:mean1h{{{_RECORDED}}}"},
        ),
        Panel(
            "Scores of $model: share in each bucket, less that of the reference",
            _SHARE,
            {
                "{{above}} to {{le}}": f"dandelion:score:share1h{{{_RECORDED}}} "
                "- on (job, model, le, above) "
                f"dandelion:score_reference:share{{{_RECORDED}}}"
            },
            24,
            repeated=True,
        ),
    ),
    "Shadow": (
        Panel(
            "Disagreements",
            _SHARE,
            {
                "{{model}} {{shadow}} {{kind}}": _share(
                    _rate("dandelion_shadow_disagreements_total", f"{_SHADOW}, kind"),
                    _rate("dandelion_shadow_texts_total", _SHADOW),
                    _SHADOW,
                )
            },
            description="Share of the texts that the shadow scored. Without a shadow: nothing.",
        ),
        Panel(
            "Difference of scores, 50th and 95th percentile",
            _NUMBER,
            {
                f"{{{{model}}}} {{{{shadow}}}} p{share:g}": _quantile(
                    share / 100, "dandelion_shadow_score_difference", _SHADOW
                )
                for share in (50, 95)
            },
        ),
        Panel(
            "Sample: scored and dropped",
            _PER_SECOND,
            {
                f"{{{{model}}}} {{{{shadow}}}} {name}": _rate(
                    f"dandelion_shadow_{each}_total", _SHADOW
                )
                for name, each in (("scored", "texts"), ("dropped", "dropped"))
            },
        ),
    ),
    "Record, generations, processes": (
        Panel(
            "Recorded decisions",
            _PER_SECOND,
            {
                "recorded": "sum(rate(dandelion_recorded_decisions_total"
                f"{{{_OF_INSTANCE}}}[$__rate_interval]))",
                "dropped: {{reason}}": _rate(
                    "dandelion_record_dropped_total", "reason", _OF_INSTANCE
                ),
            },
        ),
        Panel(
            "Workers",
            _NUMBER,
            {"{{instance}} {{state}}": f"dandelion_workers{{{_OF_INSTANCE}}}"},
        ),
        Panel(
            "Reloads and rollbacks",
            _NUMBER,
            {
                "{{outcome}}": "sum by (outcome) "
                f"(increase(dandelion_reloads_total{{{_OF_INSTANCE}}}[$__rate_interval]))"
            },
        ),
        Panel(
            "Memory",
            _BYTES,
            {"{{instance}}": f"process_resident_memory_bytes{{{_OF_INSTANCE}}}"},
            description="Of all processes of the service; what they share counts once.",
        ),
        Panel(
            "Processors",
            _NUMBER,
            {"{{instance}}": _rate("process_cpu_seconds_total", "instance", _OF_INSTANCE)},
        ),
        Panel(
            "Traces: spans that were not sent",
            _PER_SECOND,
            {"{{instance}}": _rate("dandelion_spans_dropped_total", "instance", _OF_INSTANCE)},
        ),
        Panel(
            "Versions",
            _NUMBER,
            {
                "{{model}} {{variant}} {{version}}": "count by (model, variant, version) "
                f"(dandelion_model_info{{{_OF_MODEL}}})"
            },
            description="Instances that serve each artifact.",
        ),
    ),
}


def _query(number: int, name: str, promql: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(promql)
    return query.legend_format(name).datasource(_SOURCE)


def _chart(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    chart = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(_SOURCE)
    chart.height(8).span(panel.width).fill_opacity(5)
    chart.legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
    if panel.description:
        chart.description(panel.description)
    if panel.repeated:
        chart.repeat("model").repeat_direction("h")
    for number, (name, promql) in enumerate(panel.queries.items()):
        chart.with_target(_query(number, name, promql))
    return chart


def _figure(panel: Panel) -> stat.Panel:
    figure = stat.Panel().title(panel.title).unit(panel.unit).datasource(_SOURCE)
    figure.height(4).span(panel.width).graph_mode(BigValueGraphMode.NONE)
    figure.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    for number, (name, promql) in enumerate(panel.queries.items()):
        figure.with_target(_query(number, name, promql).instant())
    return figure


def _scores() -> heatmap.Panel:
    """Return the histogram of the scores over time, of each model."""
    query = _query(0, "{{le}}", _rate("dandelion_score_bucket", "le"))
    chart = heatmap.Panel().title("Scores of $model").datasource(_SOURCE).height(8).span(24)
    chart.repeat("model").repeat_direction("h").calculate(False)
    return chart.with_target(query.format(PromQueryFormat.HEATMAP))


def _variable(name: str, label: str, series: str) -> QueryVariable:
    every = VariableOption(selected=True, text="All", value="$__all")
    variable = QueryVariable(name).label(label).datasource(_SOURCE).multi(True).include_all(True)
    variable.query(f"label_values({series}, {name})").current(every)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def dashboard() -> str:
    """Return the dashboard as Grafana's JSON."""
    board = Dashboard("Dandelion").uid("dandelion").tags(["dandelion"]).readonly()
    board.description(
        "The service: traffic, latency, errors, decisions, drift, shadow, generations."
    )
    board.time("now-6h", "now").refresh("1m").timezone("browser").tooltip(
        DashboardCursorSync.CROSSHAIR
    )
    board.with_variable(DatasourceVariable("datasource").label("Source").type("prometheus"))
    board.with_variable(_variable("job", "Job", "dandelion_ready"))
    board.with_variable(_variable("instance", "Instance", f"dandelion_ready{{{_OF_JOB}}}"))
    board.with_variable(_variable("model", "Model", f"dandelion_texts_total{{{_OF_INSTANCE}}}"))
    for panel in _STATE:
        board.with_panel(_figure(panel))
    for title, panels in _ROWS.items():
        board.with_row(Row(title))
        for panel in panels:
            board.with_panel(_chart(panel))
        if title == "Decisions":
            board.with_panel(_scores())
    built = board.build()
    for number, each in enumerate(built.panels or (), 1):
        each.id_val = number
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else _PATH
    path.write_text(dashboard(), encoding="utf-8")

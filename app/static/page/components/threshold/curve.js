// Precision, recall and alerts over the threshold, with their intervals; operating points as marks.
import { html, useCallback, useEffect, useMemo, useRef } from "../../vendor/htm-preact.js";
import { Plot, themeColor } from "../plot.js";
import { placeOf } from "./handles.js";
import { amount, percentOf, thresholdOf } from "./numbers.js";

// The handles below and the marks above keep to the same edges, see threshold.css.
const LEFT = 52;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 34;
const HEIGHT = 300;
const ALERTS_HEIGHT = 170;
const MARK = 20; // as wide as in threshold.css
const FEWEST_ALERTS = 0.1; // the lowest of a logarithmic scale

const NICE = [1e-12, 1e-9, 1e-6, 1e-4, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 0.9999];

/** Where a threshold of scores lies among the points of a curve, as a logit; null beyond them. */
function logitOf(points, threshold) {
  const at = points.findIndex((one) => one.threshold >= threshold);
  if (at < 0 || (at === 0 && points[0].threshold > threshold)) return null;
  if (at === 0) return points[0].logit;
  const [low, high] = [points[at - 1], points[at]];
  const spread = (score) => Math.log(score / (1 - score));
  const share = (spread(threshold) - spread(low.threshold)) / (spread(high.threshold) - spread(low.threshold));
  return low.logit + (Number.isFinite(share) ? share : 1) * (high.logit - low.logit);
}

/** Ticks at scores that people write, as far apart as there is room for. */
function ticks(points, width) {
  const chosen = [];
  for (const threshold of NICE) {
    const logit = logitOf(points, threshold);
    if (logit === null) continue;
    const x = placeOf(points, logit) * width;
    if (chosen.every((one) => Math.abs(one.x - x) > 44)) chosen.push({ x, logit, threshold });
  }
  return chosen;
}

export function Curve({ found, selected, onSelect }) {
  const points = useRef([]);
  points.current = found?.curve.points ?? [];
  const rates = useMemo(() => found && ratesOf(found.curve.points), [found]);
  const alerts = useMemo(() => found && alertsOf(found.curve.points), [found]);
  const ratesOptions = useCallback(() => chart(points, HEIGHT, rateSeries(), rateAxis(), { range: [0, 1] }), []);
  const alertsOptions = useCallback(
    () => chart(points, ALERTS_HEIGHT, alertSeries(), alertAxis(), { distr: 3, range: alertRange }),
    [],
  );
  // Where a base rate moves the scores, the ticks move: uPlot does not know.
  const plots = useRef({});
  useEffect(() => Object.values(plots.current).forEach((plot) => plot.redraw(true, true)), [found]);
  const keepRates = useCallback((plot) => (plots.current.rates = plot), []);
  const keepAlerts = useCallback((plot) => (plots.current.alerts = plot), []);
  if (!found) return html`<div class="charts waiting"></div>`;
  const groups = grouped(found.points);
  const width = (plots.current.rates?.width ?? 600) - LEFT - RIGHT;
  const lanes = lanesOf(groups.map(([one]) => placeOf(found.curve.points, one.fitted.logit) * width));
  const place = (logit) => `${100 * placeOf(found.curve.points, logit)}%`;
  const { review } = selected;
  return html`
    <div class="charts">
      <p class="legend-line">
        <span class="key recall">recall</span><span class="key precision">precision</span>
        <span class="quiet">bands: 95 % intervals</span>
      </p>
      <div class="chart">
        <${Plot} options=${ratesOptions} data=${rates} label=${describe(found.curve)} onReady=${keepRates} />
        <div class="overlay" style=${{ height: `${HEIGHT - TOP - BOTTOM}px` }}>
          ${review && html`<span class="band" style=${{ left: place(review.logit), right: `calc(100% - ${place(selected.logit)})` }}></span>`}
          <span class="line" style=${{ left: place(selected.logit) }}></span>
          ${groups.map(
            (group, at) => html`<${Mark}
              key=${group[0].operating_point}
              group=${group}
              left=${place(group[0].fitted.logit)}
              lane=${lanes[at]}
              selected=${selected}
              onSelect=${onSelect}
            />`,
          )}
        </div>
      </div>
      <p class="legend-line"><span class="key alerts">alerts per 10,000 messages</span></p>
      <div class="chart">
        <${Plot}
          options=${alertsOptions}
          data=${alerts}
          label="Alerts per 10,000 messages at each threshold, falling"
          onReady=${keepAlerts}
        />
        <div class="overlay" style=${{ height: `${ALERTS_HEIGHT - TOP - BOTTOM}px` }}>
          ${review && html`<span class="band" style=${{ left: place(review.logit), right: `calc(100% - ${place(selected.logit)})` }}></span>`}
          <span class="line" style=${{ left: place(selected.logit) }}></span>
        </div>
      </div>
    </div>
  `;
}

/** The selection of a fitted operating point; the review band stays, below it. */
export function selectPoint({ operating_point: point, fitted: { threshold, logit } }, { review }) {
  const isAbove = review && review.threshold > threshold;
  return { threshold, logit, point, review: isAbove ? { threshold, logit } : review };
}

/** In which lane each mark lies, so that none covers another: 0 is on the curve. */
function lanesOf(places) {
  const lanes = places.map(() => 0);
  places.forEach((x, at) => {
    const taken = places.map((other, before) => (before < at && Math.abs(other - x) < MARK ? lanes[before] : -1));
    while (taken.includes(lanes[at])) lanes[at] += 1;
  });
  return lanes;
}

/** Fitted points, those at the same threshold together. */
function grouped(points) {
  const groups = new Map();
  for (const one of points) {
    if (one.fitted) groups.set(one.fitted.logit, [...(groups.get(one.fitted.logit) ?? []), one]);
  }
  return [...groups.values()];
}

/** A mark of one or several operating points; pressed again, it selects the next of them. */
function Mark({ group, left, lane, selected, onSelect }) {
  const names = group.map((one) => one.operating_point);
  const { recall, threshold } = group[0].fitted;
  const label = `${names.join(", ")}: threshold ${thresholdOf(threshold)}, recall ${percentOf(recall.estimate)}`;
  const at = names.indexOf(selected.point);
  const isDown = recall.estimate > 0.5; // into the chart
  const stem = `${lane * MARK}px`;
  return html`
    <button
      type="button"
      class=${`mark ${isDown ? "down" : "up"}`}
      data-points=${names.join(" ")}
      aria-label=${label}
      aria-pressed=${String(at >= 0)}
      title=${label}
      style=${{ left, top: `calc(${100 * (1 - recall.estimate)}% ${isDown ? "+" : "-"} ${stem})`, "--stem": stem }}
      onClick=${() => onSelect(selectPoint(group[(at + 1) % group.length], selected))}
    ></button>
  `;
}

const ratesOf = (points) => [
  points.map((one) => one.logit),
  points.map((one) => one.recall.upper),
  points.map((one) => one.recall.lower),
  points.map((one) => one.precision.upper),
  points.map((one) => one.precision.lower),
  points.map((one) => one.recall.estimate),
  points.map((one) => one.precision.estimate),
];

const visible = (alerts) => Math.max(alerts, FEWEST_ALERTS);

const alertsOf = (points) => [
  points.map((one) => one.logit),
  points.map((one) => visible(one.alerts_per_10000.upper)),
  points.map((one) => visible(one.alerts_per_10000.lower)),
  points.map((one) => visible(one.alerts_per_10000.estimate)),
];

const alertRange = (plot, lowest, highest) => [
  10 ** Math.floor(Math.log10(visible(lowest ?? 1))),
  10 ** Math.ceil(Math.log10(visible(highest ?? 10000))),
];

function translucent(color, share) {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = color;
  const [red, green, blue] = canvas.fillStyle.match(/[0-9a-f]{2}/g).map((part) => parseInt(part, 16));
  return `rgb(${red} ${green} ${blue} / ${share})`;
}

const edge = { stroke: "transparent", width: 0, points: { show: false } };

function rateSeries() {
  const [recall, precision] = [themeColor("--lower"), themeColor("--raise")];
  const line = (stroke, dash) => ({ stroke, dash, width: 2, points: { show: false } });
  return {
    series: [{}, edge, edge, edge, edge, line(recall), line(precision, [6, 4])],
    bands: [
      { series: [1, 2], fill: translucent(recall, 0.18) },
      { series: [3, 4], fill: translucent(precision, 0.18) },
    ],
  };
}

function alertSeries() {
  const color = themeColor("--accent");
  return {
    series: [{}, edge, edge, { stroke: color, width: 2, points: { show: false } }],
    bands: [{ series: [1, 2], fill: translucent(color, 0.18) }],
  };
}

const rateAxis = () => ({
  splits: () => [0, 0.25, 0.5, 0.75, 1],
  values: (plot, splits) => splits.map((value) => `${100 * value} %`),
});

const alertAxis = () => ({
  splits: (plot, axis, lowest, highest) => {
    const first = Math.round(Math.log10(lowest));
    return Array.from({ length: Math.round(Math.log10(highest)) - first + 1 }, (_, at) => 10 ** (first + at));
  },
  values: (plot, splits) => splits.map((value) => (value === null ? "" : amount(value))),
});

function chart(points, height, { series, bands }, axis, scale) {
  const [ink, grid] = [themeColor("--quiet"), themeColor("--line")];
  const drawn = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, size: 4 }, font: "12px system-ui" };
  const ends = () => [points.current[0]?.logit ?? 0, points.current[points.current.length - 1]?.logit ?? 1];
  const chosen = (plot) => ticks(points.current, plot.width - LEFT - RIGHT);
  return {
    height,
    padding: [TOP, RIGHT, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: ends }, y: scale },
    series,
    bands,
    axes: [
      {
        ...drawn,
        size: BOTTOM,
        splits: (plot) => chosen(plot).map(({ logit }) => logit),
        values: (plot) => chosen(plot).map(({ threshold }) => thresholdLabel(threshold)),
      },
      { ...drawn, size: LEFT, ...axis },
    ],
  };
}

const thresholdLabel = (threshold) =>
  threshold < 0.001 ? `10⁻${[...String(-Math.log10(threshold).toFixed(0))].map((one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one] ?? "").join("")}` : String(threshold);

/** What the chart shows, in words. */
function describe({ points }) {
  const half = points[Math.floor(points.length / 2)];
  const [first, last] = [points[0], points[points.length - 1]];
  const at = ({ threshold, precision, recall }) =>
    `at ${thresholdOf(threshold)} recall ${percentOf(recall.estimate)} and precision ${percentOf(precision.estimate)}`;
  return `Precision and recall at each threshold: ${[first, half, last].map(at).join("; ")}`;
}

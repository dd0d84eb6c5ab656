// The curve of a user's own texts over the held-out one: recall by false alarms, which both do not
// depend on the base rate, nor on how scores are calibrated.
import { percent, score } from "../format.js";
import { html, useMemo, useState } from "../vendor/htm-preact.js";
import { Interval } from "./promises.js";
import { Plot, themeColor } from "./plot.js";

const LEAST = 1e-4; // of the axis, in rates; what is lower stands at its edge
const HEIGHT = 340;
const ROWS = 12; // of the table

const x = ({ fpr }) => Math.log10(Math.max(fpr.estimate, LEAST));

/** uPlot's data of some points: x ascending and unique, then each of the values. */
function column(points, values) {
  const best = new Map(); // of points with the same false alarms, that with the highest recall
  for (const point of points) {
    const at = x(point);
    if (!(best.get(at)?.recall.estimate >= point.recall.estimate)) best.set(at, point);
  }
  const sorted = [...best].sort(([a], [b]) => a - b);
  return [sorted.map(([at]) => at), ...values.map((value) => sorted.map(([, point]) => value(point)))];
}

const estimate = ({ recall }) => recall.estimate;

/**
 * @param {{report: object, heldOut: object|null}} props see `Promises`
 */
export function OwnCurve({ report, heldOut }) {
  const marks = report.shipped.filter(({ found }) => found).map(({ found }) => found);
  const data = useMemo(() => {
    const own = column(report.points, [
      estimate,
      ({ recall }) => recall.simultaneous_lower,
      ({ recall }) => recall.simultaneous_upper,
    ]);
    return window.uPlot.join([own, column(heldOut?.points ?? [], [estimate]), column(marks, [estimate])]);
  }, [report, heldOut]);
  return html`
    <figure class="owncurve">
      <figcaption>
        <strong>Caught, by false alarms</strong>
        <span class="keys">
          <span class="key"><span class="dash dash-0" aria-hidden="true"></span>your texts, with the 95 % band of the whole curve</span>
          ${heldOut && html`<span class="key"><span class="dash dash-1" aria-hidden="true"></span>held-out texts of training</span>`}
          <span class="key"><span class="dot" aria-hidden="true"></span>operating points of the model</span>
        </span>
      </figcaption>
      <${Plot} options=${options} data=${data} label="Chart: the share of positive texts caught against the share of harmless texts flagged, for your texts and the held-out ones. The table below has the figures." />
    </figure>
    <${CurveTable} report=${report} />
  `;
}

function options() {
  const [quiet, line] = [themeColor("--quiet"), themeColor("--line")];
  const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui", labelFont: "12px system-ui", labelSize: 22 };
  const hidden = { show: true, width: 0, points: { show: false }, spanGaps: true };
  return {
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [12, 24, 0, 0],
    scales: { x: { time: false, range: [Math.log10(LEAST), 0] }, y: { range: (_, least) => [Math.floor(10 * least) / 10, 1] } },
    axes: [
      {
        ...axis,
        label: "False alarms, of the harmless texts",
        splits: () => [-4, -3, -2, -1, 0],
        values: (_, splits) => splits.map((at) => (at === -4 ? "≤ 0.01 %" : percent(10 ** at, Math.max(0, -2 - at)))),
      },
      {
        ...axis,
        label: "Caught, of the positive texts",
        size: 52,
        values: (_, splits) => splits.map((share) => percent(share, (100 * share) % 1 > 0.01 ? 1 : 0)),
      },
    ],
    bands: [{ series: [3, 2], fill: tint(themeColor("--accent")) }],
    series: [
      {},
      { stroke: themeColor("--accent"), width: 2.5, points: { show: false }, spanGaps: true },
      hidden,
      hidden,
      { stroke: themeColor("--lower"), width: 2, dash: [6, 4], points: { show: false }, spanGaps: true },
      {
        width: 0,
        paths: () => null,
        points: { show: true, size: 11, width: 2, stroke: themeColor("--ink"), fill: themeColor("--surface") },
      },
    ],
  };
}

/** A colour, translucent. */
const tint = (color) => color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.16)");

function CurveTable({ report }) {
  const [isOpen, setIsOpen] = useState(false);
  const { points } = report;
  const every = Math.max(1, (points.length - 1) / (ROWS - 1));
  const shown = [...new Set(Array.from({ length: Math.min(ROWS, points.length) }, (_, at) => Math.round(at * every)))];
  return html`
    <details onToggle=${(event) => setIsOpen(event.target.open)}>
      <summary>The curve of your texts as a table</summary>
      ${isOpen &&
      html`
        <div class="table-scroll" tabindex="0" role="region" aria-label="The curve of your texts">
          <table class="promises">
            <caption>${shown.length} of ${points.length} thresholds</caption>
            <thead>
              <tr>
                <th scope="col">Score from, today</th>
                <th scope="col">under the new policy</th>
                <th scope="col">Caught</th>
                <th scope="col">False alarms</th>
                <th scope="col">Right, of the alerts</th>
                <th scope="col">Alerts per 10,000</th>
              </tr>
            </thead>
            <tbody>
              ${shown
                .map((at) => points[at])
                .map(
                  (point) => html`
                    <tr key=${point.logit}>
                      <th scope="row">${score(point.artifact_threshold)}</th>
                      <td>${score(point.threshold)}</td>
                      <td><${Interval} value=${point.recall} /></td>
                      <td><${Interval} value=${point.fpr} digits=${2} /></td>
                      <td><${Interval} value=${point.precision} /></td>
                      <td>${point.alerts_per_10000.estimate.toFixed(0)}</td>
                    </tr>
                  `,
                )}
            </tbody>
          </table>
        </div>
      `}
    </details>
  `;
}

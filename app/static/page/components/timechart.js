// A small chart of the last minutes.
import { html } from "../vendor/htm-preact.js";
import { Plot, themeColor } from "./plot.js";

const HEIGHT = 150;
const clock = (seconds) => new Date(1000 * seconds).toTimeString().slice(0, 8);
const DASHES = [[], [6, 4], [2, 3]]; // lines differ in more than their colour

/**
 * @param {object} props
 * @param {string} props.title
 * @param {Array<{name: string, color: string}>} props.lines colours of page.css
 * @param {(value: number) => string} props.format of a value; the same function each time
 * @param {Array} props.data uPlot's: seconds, and the values of each line
 * @param {() => object} props.options made once by `chartOptions`
 */
export function TimeChart({ title, lines, data, options }) {
  return html`
    <figure class=${`timechart ${lines.length > 2 ? "three" : ""}`}>
      <figcaption>
        <strong>${title}</strong>
        ${lines.length > 1 &&
        html`<span class="keys">
          ${lines.map(
            ({ name }, at) => html`<span class="key"><span class=${`dash dash-${at}`} aria-hidden="true"></span>${name}</span>`,
          )}
        </span>`}
      </figcaption>
      <${Plot} options=${options} data=${data} label=${`Chart: ${title}, in the last minutes. The table has the figures.`} />
    </figure>
  `;
}

/** Labels of ticks: none without a line, since uPlot makes up a range then. */
const labelled = (write) => (plot, ticks) => {
  const [times, ...lines] = plot.data;
  const isDrawn = times.length > 1 && lines.some((values) => values.some((value) => value !== null));
  return ticks.map((tick) => (isDrawn ? write(tick) : ""));
};

/** What `TimeChart` draws with. Call it outside of components, for a function that stays the same. */
export const chartOptions = (lines, format) => () => {
  const quiet = themeColor("--quiet");
  const grid = { stroke: themeColor("--line"), width: 1 };
  const axis = { stroke: quiet, grid, ticks: { show: false }, font: "12px system-ui" };
  return {
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 28, 0, 0],
    scales: { y: { range: (_, __, most) => [0, most > 0 ? 1.1 * most : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 80, values: labelled(clock) },
      { ...axis, size: 58, values: labelled(format) },
    ],
    series: [
      {},
      ...lines.map(({ name, color }, at) => ({
        label: name,
        stroke: themeColor(color),
        width: 2,
        dash: DASHES[at],
        spanGaps: false,
        points: { show: false },
      })),
    ],
  };
};

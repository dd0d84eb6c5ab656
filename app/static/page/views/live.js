// What the service does now, from GET /metrics.
import { getText, isCancelled } from "../api.js";
import { Problem } from "../components/problem.js";
import { TimeChart, chartOptions } from "../components/timechart.js";
import { count, percent } from "../format.js";
import { buckets, growth, growthBy, parse, quantile, shareAbove, total } from "../metrics.js";
import { useShared } from "../state.js";
import { html, useEffect, useState } from "../vendor/htm-preact.js";

const EVERY_MS = 2000;
const KEPT = 150; // readings: five minutes
const RECENT_MS = 30_000;
const GAP_MS = 3 * EVERY_MS; // without a reading: the lines are interrupted
// Of the words of a text; a score rests on little where more are unknown: a bound of the histogram.
const UNKNOWN_WORDS = 0.3;
const DURATION = "dandelion_request_duration_seconds";

const perSecond = (value) =>
  value === null ? "–" : value >= 100 ? count(value) : value.toFixed(value >= 10 ? 1 : 2);
const milliseconds = (value) =>
  value === null ? "–" : `${(1000 * value).toFixed(value < 0.01 ? 2 : value < 0.1 ? 1 : 0)} ms`;

const CHARTS = [
  {
    title: "Requests per second",
    lines: [
      { name: "all", color: "--accent" },
      { name: "errors", color: "--raise" },
    ],
    format: perSecond,
    values: ({ requests, errors }) => [requests, errors],
  },
  {
    title: "Duration of a request",
    lines: [
      { name: "median", color: "--accent" },
      { name: "95 %", color: "--lower" },
      { name: "99 %", color: "--raise" },
    ],
    format: milliseconds,
    values: ({ median, p95, p99 }) => [median, p95, p99],
  },
  {
    title: "Texts per second",
    lines: [
      { name: "all", color: "--accent" },
      { name: "positive", color: "--raise" },
    ],
    format: perSecond,
    values: ({ texts, positive }) => [texts, positive],
  },
].map((chart) => ({ ...chart, options: chartOptions(chart.lines, chart.format) }));

export function Live({ choice, details, active }) {
  const { models } = useShared();
  const [isPaused, setIsPaused] = useState(false);
  const { readings, error, waiting, retry } = useReadings(active && !isPaused);
  const served = models.find(({ model }) => model === choice.model);
  // As the service labels its series.
  const isServed = choice.variant === null || choice.variant === served?.variant;
  const series = isServed ? choice.model : `${choice.model}/${choice.variant}`;
  const labels = details?.labels ?? served?.labels ?? [];
  const last = readings.at(-1);
  return html`
    <div class="intro">
      <h1>Live</h1>
      <p>What <strong>${series}</strong> does now, over all workers of the service. Charts begin when this view is opened.</p>
    </div>
    <${Problem} error=${error} onRetry=${retry} />
    ${error?.status === 403 &&
    html`<p class="notice">This view reads the metrics, and needs a key with the scope <code>metrics</code>. To enter another key, forget the current one at the top.</p>`}
    <div class="actions">
      <button type="button" class="button small" aria-pressed=${isPaused} onClick=${() => setIsPaused(!isPaused)}>
        ${isPaused ? "Go on" : "Pause"}
      </button>
      <span class="quiet" role="status">
        ${isPaused ? "Paused." : error ? "Stopped." : waiting ? `${waiting} Trying again …` : `Read every ${EVERY_MS / 1000} seconds while this view is shown.`}
      </span>
    </div>
    ${last &&
    html`
      <${Figures} readings=${readings} series=${series} labels=${labels} />
      <div class="timecharts">
        ${CHARTS.map((chart) => html`<${TimeChart} key=${chart.title} ...${chart} data=${drawn(readings, series, labels, chart)} />`)}
      </div>
      <${Decisions} readings=${readings} series=${series} />
      <${Generation} samples=${last.samples} />
    `}
    ${!last && !error && html`<p class="quiet" role="status">Reading the metrics …</p>`}
  `;
}

/** Read the metrics again and again while `isOn` and the tab of the browser is shown. */
function useReadings(isOn) {
  const [readings, setReadings] = useState([]);
  const [error, setError] = useState(null);
  const [waiting, setWaiting] = useState(""); // why a reading is late
  const [tries, setTries] = useState(0);
  const isShown = useIsShown();
  const isReading = isOn && isShown;
  useEffect(() => {
    if (!isReading) return undefined;
    const reader = new AbortController();
    const { signal } = reader;
    let timer;
    const read = async () => {
      try {
        const samples = parse(await getText("metrics", { signal, onWait: (_, { message }) => setWaiting(message) }));
        if (signal.aborted) return;
        setReadings((before) => [...before, { at: Date.now(), samples }].slice(-KEPT));
        setError(null);
        setWaiting("");
        timer = setTimeout(read, EVERY_MS);
      } catch (reason) {
        if (isCancelled(reason)) return;
        setError(reason);
        setWaiting("");
      }
    };
    read();
    return () => {
      clearTimeout(timer);
      reader.abort();
    };
  }, [isReading, tries]);
  const retry = () => {
    setError(null);
    setTries(tries + 1);
  };
  return { readings, error, waiting, retry };
}

function useIsShown() {
  const [isShown, setIsShown] = useState(!document.hidden);
  useEffect(() => {
    const follow = () => setIsShown(!document.hidden);
    document.addEventListener("visibilitychange", follow);
    return () => document.removeEventListener("visibilitychange", follow);
  }, []);
  return isShown;
}

/** What happened between two readings; `before` null for the beginning of the service. */
function figures(before, after, series, labels) {
  const where = { model: series };
  const [then, now] = [before?.samples ?? null, after.samples];
  const seconds = before ? (after.at - before.at) / 1000 : null;
  const rate = (number) => (seconds ? number / seconds : null);
  const statuses = growthBy(then, now, "dandelion_requests_total", where, "status");
  const failed = [...statuses].reduce((sum, [status, number]) => sum + (status >= "400" ? number : 0), 0);
  const texts = growth(then, now, "dandelion_texts_total", where);
  const positives = growth(then, now, "dandelion_texts_total", { ...where, label: labels[1] });
  const durations = buckets(then, now, DURATION, where);
  const requests = [...statuses.values()].reduce((sum, number) => sum + number, 0);
  return {
    counts: { requests, failed, texts, positives },
    requests: rate(requests),
    errors: rate(failed),
    texts: rate(texts),
    positive: labels.length === 2 ? rate(positives) : null,
    positiveShare: texts && labels.length === 2 ? positives / texts : null,
    lowEvidence: shareAbove(UNKNOWN_WORDS, buckets(then, now, "dandelion_unknown_word_ratio", where)),
    median: quantile(0.5, durations),
    p95: quantile(0.95, durations),
    p99: quantile(0.99, durations),
  };
}

const steps = new WeakMap(); // reading → {series, found}

/** The figures between a reading and the one before, computed once. */
function step(before, after, series, labels) {
  const known = steps.get(after);
  if (known?.series === series) return known.found;
  const found = figures(before, after, series, labels);
  steps.set(after, { series, found });
  return found;
}

/** uPlot's data of a chart. */
function drawn(readings, series, labels, { lines, values }) {
  const columns = [[], ...lines.map(() => [])];
  readings.slice(1).forEach((after, at) => {
    const before = readings[at];
    const isGap = after.at - before.at > GAP_MS;
    const row = isGap ? lines.map(() => null) : values(step(before, after, series, labels));
    [after.at / 1000, ...row].forEach((value, column) => columns[column].push(value));
  });
  return columns;
}

const recent = (readings) => {
  const last = readings.at(-1);
  const before = readings.filter(({ at }) => last.at - at <= RECENT_MS)[0];
  return before === last ? null : before;
};

function Figures({ readings, series, labels }) {
  const last = readings.at(-1);
  const before = recent(readings);
  const now = before ? figures(before, last, series, labels) : null;
  const ever = figures(null, last, series, labels);
  const rows = [
    ["Requests", now && `${perSecond(now.requests)} per second`, count(ever.counts.requests)],
    ["… with an error", now && `${perSecond(now.errors)} per second`, count(ever.counts.failed)],
    ["Texts", now && `${perSecond(now.texts)} per second`, count(ever.counts.texts)],
    ...(labels.length === 2
      ? [[`… labelled ${labels[1]}`, now && percent(now.positiveShare), percent(ever.positiveShare)]]
      : []),
    ["… with low evidence", now && percent(now.lowEvidence), percent(ever.lowEvidence)],
    ["Duration, median", now && milliseconds(now.median), milliseconds(ever.median)],
    ["Duration, 95th percentile", now && milliseconds(now.p95), milliseconds(ever.p95)],
    ["Duration, 99th percentile", now && milliseconds(now.p99), milliseconds(ever.p99)],
  ];
  return html`
    <div class="table-scroll" tabindex="0" role="region" aria-label="Figures">
      <table class="measured">
        <caption>Figures</caption>
        <thead>
          <tr><th scope="col">${series}</th><th scope="col">Last 30 seconds</th><th scope="col">Since the service started</th></tr>
        </thead>
        <tbody>
          ${rows.map(
            ([name, lately, always]) => html`<tr><th scope="row">${name}</th><td>${lately ?? "…"}</td><td>${always}</td></tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="quiet">
      Low evidence: more than three in ten words are unknown to the model, as in another language. Durations are read from a
      histogram, so they are approximate. A labelled sample that is evaluated here is not counted.
    </p>
  `;
}

/** Decisions under policies. */
function Decisions({ readings, series }) {
  const { samples } = readings.at(-1);
  const before = recent(readings)?.samples ?? null;
  const all = (samples.get("dandelion_decisions_total") ?? []).filter(({ labels }) => labels.model === series);
  const used = new Set(all.filter(({ value }) => value > 0).map(({ labels }) => labels.policy));
  const rows = all.filter(({ labels }) => used.has(labels.policy));
  if (rows.length === 0) {
    return html`<p class="quiet">No policy has decided on a text of this model yet.</p>`;
  }
  return html`
    <div class="table-scroll" tabindex="0" role="region" aria-label="Decisions">
      <table class="measured two-names">
        <caption>Decisions under policies</caption>
        <thead>
          <tr><th scope="col">Policy</th><th scope="col">Decision</th><th scope="col">Last 30 seconds</th><th scope="col">Since the service started</th></tr>
        </thead>
        <tbody>
          ${rows.map(({ key, labels, value }) => {
            const { policy, decision } = labels;
            const lately = before && growth(before, samples, "dandelion_decisions_total", labels);
            return html`<tr key=${key}><th scope="row">${policy}</th><td>${decision}</td><td>${lately === null ? "…" : count(lately)}</td><td>${count(value)}</td></tr>`;
          })}
        </tbody>
      </table>
    </div>
  `;
}

function Generation({ samples }) {
  const workers = (state) => total(samples, "dandelion_workers", { state });
  const reloads = (outcome) => total(samples, "dandelion_reloads_total", { outcome });
  const facts = [
    ["Generation", count(total(samples, "dandelion_generation"))],
    ["Workers that serve it", count(workers("current"))],
    ["Workers that finish their last requests", count(workers("draining"))],
    ["Reloads", `${count(reloads("loaded") + reloads("rolled_back"))} done, ${count(reloads("failed"))} failed`],
    ["Requests in flight", count(total(samples, "dandelion_in_flight_requests"))],
    ["Requests waiting", count(total(samples, "dandelion_waiting_requests"))],
    ["Requests refused for lack of capacity", count(total(samples, "dandelion_shed_requests_total"))],
  ];
  return html`
    <section aria-labelledby="live-service">
      <h2 id="live-service">The service</h2>
      <dl class="facts">
        ${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
      </dl>
    </section>
  `;
}

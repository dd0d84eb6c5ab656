// Prometheus's text format, and what two readings of it say about the time between them.

/**
 * Read the text exposition format 0.0.4.
 *
 * @param {string} text
 * @returns {Map<string, Array<{labels: Object<string, string>, key: string, value: number}>>} name of
 *   a sample → its series; `key` is the same for the same labels
 * @throws {Error} a line is not in the format
 */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [name] = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line) ?? [];
    if (!name) throw new Error("A line of the metrics has no name.");
    const { labels, end } = parseLabels(line, name.length);
    const [value] = line.slice(end).trim().split(/\s+/);
    if (!samples.has(name)) samples.set(name, []);
    const key = JSON.stringify(Object.entries(labels).sort());
    samples.get(name).push({ labels, key, value: toNumber(value) });
  }
  return samples;
}

const ESCAPED = { "\\": "\\", n: "\n", '"': '"' };

function parseLabels(line, start) {
  const labels = {};
  let at = start;
  const skip = () => {
    while (line[at] === " " || line[at] === "\t") at += 1;
  };
  skip();
  if (line[at] !== "{") return { labels, end: at };
  at += 1;
  for (;;) {
    skip();
    if (line[at] === "}") return { labels, end: at + 1 };
    const [whole, name] = /^([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"/.exec(line.slice(at)) ?? [];
    if (!whole) throw new Error("A label of the metrics is not in the format.");
    at += whole.length;
    let value = "";
    for (; line[at] !== '"'; at += 1) {
      if (at >= line.length) throw new Error("A label of the metrics does not end.");
      if (line[at] === "\\") {
        at += 1;
        value += ESCAPED[line[at]] ?? `\\${line[at]}`;
      } else value += line[at];
    }
    labels[name] = value;
    at += 1;
    skip();
    if (line[at] === ",") at += 1;
  }
}

function toNumber(text) {
  if (text === "+Inf" || text === "Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  if (text === "NaN") return NaN;
  const value = Number(text);
  if (text === undefined || text === "" || Number.isNaN(value)) {
    throw new Error("A value of the metrics is no number.");
  }
  return value;
}

const matches = (labels, where) => Object.entries(where).every(([name, value]) => labels[name] === value);

/** The sum of a sample over all series with these labels; 0 without any. */
export const total = (samples, name, where = {}) =>
  (samples.get(name) ?? []).reduce((sum, { labels, value }) => sum + (matches(labels, where) ? value : 0), 0);

/**
 * By how much the counters grew between two readings, by the value of a label.
 *
 * A counter that is lower than before has begun again at 0, with the service: all of it is growth.
 *
 * @param {Map|null} before null for the beginning
 * @param {Map} after
 * @param {string} name of the sample
 * @param {Object<string, string>} where labels that a series must have
 * @param {string} by a label
 * @returns {Map<string, number>} value of the label → growth
 */
export function growthBy(before, after, name, where, by) {
  const earlier = new Map((before?.get(name) ?? []).map(({ key, value }) => [key, value]));
  const found = new Map();
  for (const { labels, key, value } of after.get(name) ?? []) {
    if (!matches(labels, where)) continue;
    const then = earlier.get(key) ?? 0;
    const growth = value >= then ? value - then : value;
    found.set(labels[by], (found.get(labels[by]) ?? 0) + growth);
  }
  return found;
}

/** As `growthBy`, of all series together. */
export const growth = (before, after, name, where = {}) =>
  [...growthBy(before, after, name, where, "").values()].reduce((sum, value) => sum + value, 0);

/**
 * The buckets of a histogram between two readings.
 *
 * @returns {Array<[number, number]>} upper bound and cumulative count, ascending
 */
export const buckets = (before, after, name, where = {}) =>
  [...growthBy(before, after, `${name}_bucket`, where, "le")]
    .map(([bound, number]) => [toNumber(bound), number])
    .sort(([a], [b]) => a - b);

/**
 * A quantile of a histogram, linear within a bucket, as Prometheus's histogram_quantile; beyond the
 * last finite bound it is that bound. null without observations.
 *
 * @param {number} share in (0, 1)
 * @param {Array<[number, number]>} cumulative see `buckets`
 */
export function quantile(share, cumulative) {
  const all = cumulative.at(-1)?.[1] ?? 0;
  if (!all) return null;
  const rank = share * all;
  const at = cumulative.findIndex(([, number]) => number >= rank);
  const [bound, number] = cumulative[at];
  const [lower, below] = at > 0 ? cumulative[at - 1] : [0, 0];
  if (bound === Infinity) return lower;
  return number === below ? bound : lower + ((bound - lower) * (rank - below)) / (number - below);
}

/** The share of observations above a bound of the histogram; null without observations. */
export function shareAbove(bound, cumulative) {
  const all = cumulative.at(-1)?.[1] ?? 0;
  const below = cumulative.find(([upper]) => upper === bound)?.[1];
  return all && below !== undefined ? 1 - below / all : null;
}

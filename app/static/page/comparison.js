// Two variants on the same texts.
import { decisionOf, isScored } from "./decisions.js";

/**
 * Compare the results of two variants.
 *
 * @param {object[]} left results of the service, in the order of the texts
 * @param {object[]} right
 * @param {string[]} labels of the model
 * @returns {Array<{at: number, left: string, right: string, differs: boolean, difference: number|null}>}
 *   those with different decisions first, then by the difference of the scores, the largest first.
 *   `left` and `right` are decisions, see `decisionOf`; `difference` is that of the scores, right
 *   minus left, or with more than two labels half the sum of the differences of all; null without
 *   a score of both
 */
export function compare(left, right, labels) {
  const rows = left.map((one, at) => {
    const [decided, other] = [one, right[at]].map((result) => decisionOf(result, labels));
    return { at, left: decided, right: other, differs: decided !== other, difference: difference(one, right[at]) };
  });
  return rows.sort(
    (a, b) => b.differs - a.differs || Math.abs(b.difference) - Math.abs(a.difference) || a.at - b.at,
  );
}

function difference(left, right) {
  if (!isScored(left) || !isScored(right)) return null;
  if (left.scores && right.scores) {
    const names = Object.keys(left.scores);
    return names.reduce((sum, name) => sum + Math.abs(right.scores[name] - left.scores[name]) / 2, 0);
  }
  return right.score - left.score;
}

/** How many rows have each pair of decisions: Map of JSON [left, right] → count, the frequent first. */
export function pairs(rows) {
  const counts = new Map();
  for (const { left, right } of rows) {
    const key = JSON.stringify([left, right]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, number]) => [...JSON.parse(key), number]).sort((a, b) => b[2] - a[2]);
}

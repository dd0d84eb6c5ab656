// Labelled texts: their columns, and their evaluation by the service.
import { ApiError, getJson, modelPath, send } from "./api.js";
import { batchEnd, currentLimits, isTooLarge } from "./batches.js";

export const MAX_ROWS = 50_000; // of an evaluation
const MAX_VALUES = 50; // of a column with labels
const LABEL_NAMES = ["label", "class", "category", "target", "is_spam", "spam", "flagged", "y"];
const POSITIVE = ["1", "1.0", "true", "yes"];
const MISSING = ["", "nan", "null", "na", "n/a"]; // as `dandelion evaluate`
const STRATUM = "stratum";
const WEIGHT = "inclusion_weight";

/** Why rows cannot be evaluated; the message is for people. */
export class LabelError extends Error {}

/** The values of a column that are no missing label, with how often they occur, the frequent first. */
export function valuesOf({ rows }, column) {
  const counts = new Map();
  for (const row of rows) {
    const value = row[column].trim();
    if (!isMissing(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
}

const isMissing = (value) => MISSING.includes(value.toLowerCase());

/** The index of the column that has the labels, most likely: by its name, else by its values. */
export function guessLabelColumn(table, textColumn, labels) {
  const names = table.columns.map((name) => name.toLowerCase());
  const named = LABEL_NAMES.map((name) => names.indexOf(name)).find((at) => at >= 0 && at !== textColumn);
  if (named !== undefined) return named;
  const others = table.columns.map((_, at) => at).filter((at) => at !== textColumn);
  const few = others.filter((at) => valuesOf(table, at).length === 2);
  const known = few.find((at) => valuesOf(table, at).some(([value]) => isCalled(value, labels[1])));
  return known ?? few[0] ?? others[0] ?? textColumn;
}

const isCalled = (value, label) => value.toLowerCase() === label.toLowerCase();

/** The label that means positive, most likely: the model's, 1 or true, else the rarer one. */
export function guessPositive(values, labels) {
  const names = values.map(([value]) => value);
  const known = names.find((name) => isCalled(name, labels[1])) ?? names.find((name) => POSITIVE.includes(name.toLowerCase()));
  return known ?? names.at(-1) ?? "";
}

/**
 * The rows of a table that have a text.
 *
 * @returns {{texts: string[], labels: Array<number|null>, strata: string[]|null,
 *   weights: number[]|null, leftOut: number, unlabelled: number}} strata and weights are those of a
 *   sample that `dandelion sample` drew
 * @throws {LabelError}
 */
export function labelledRows(table, textColumn, labelColumn, positive) {
  if (textColumn === labelColumn) throw new LabelError("The texts and the labels are the same column. Choose another one.");
  const [stratum, weight] = [STRATUM, WEIGHT].map((name) => table.columns.indexOf(name));
  const isSample = stratum >= 0 && weight >= 0;
  if (!isSample && (stratum >= 0 || weight >= 0)) {
    throw new LabelError(`A sample has the columns ${STRATUM} and ${WEIGHT}; this file has one of them. Keep both, or remove both.`);
  }
  const rows = table.rows.filter((row) => row[textColumn].trim());
  if (rows.length > MAX_ROWS) {
    throw new LabelError(
      `${rows.length.toLocaleString("en")} rows have a text; the service evaluates at most ${MAX_ROWS.toLocaleString("en")}. ` +
        "For more there is the command: dandelion evaluate.",
    );
  }
  const labels = rows.map((row) => {
    const value = row[labelColumn].trim();
    return isMissing(value) && value !== positive ? null : Number(value === positive);
  });
  if (!labels.some((label) => label !== null)) throw new LabelError("No row has a label.");
  const weights = isSample ? rows.map((row) => Number(row[weight])) : null;
  if (weights && !weights.every((value) => value > 0)) throw new LabelError(`A row has no positive number as ${WEIGHT}.`);
  return {
    texts: rows.map((row) => row[textColumn]),
    labels,
    strata: isSample ? rows.map((row) => row[stratum].trim()) : null,
    weights,
    leftOut: table.rows.length - rows.length,
    unlabelled: labels.filter((label) => label === null).length,
  };
}

/** Whether a column has so many different values that it has no labels: numbers of rows, for example. */
export const hasTooMany = (values) =>
  values.length > MAX_VALUES || (values.length > 2 && values.every(([, count]) => count === 1));

/** The name of the texts in the policy file, as `dandelion evaluate` has it; short enough for it. */
export const sourceOf = (fileName) => fileName.split(".")[0].slice(0, 200) || "texts";

/**
 * Evaluate a model on labelled rows: score the texts in parts, then send what came of it.
 *
 * @param {{model: string, variant: string|null}} choice
 * @param {object} rows see `labelledRows`
 * @param {{source: string, operating_points: string[], prior: number|null}} fields
 * @param {object} options signal and onWait, as of `send`; onScored gets the number of texts done
 * @returns {Promise<object>} the response
 */
export async function evaluate(choice, rows, fields, { signal, onWait, onScored }) {
  const query = { variant: choice.variant };
  const path = modelPath(choice.model, "evaluation");
  const scored = { version: "", logits: [], copies: "", digests: "" };
  const limits = currentLimits();
  let most = Infinity; // texts of a request: halved where one was too large all the same
  for (let start = 0; start < rows.texts.length; ) {
    const end = Math.min(start + most, batchEnd(rows.texts, start, limits));
    let part;
    try {
      const json = { texts: rows.texts.slice(start, end) };
      part = await (await send(`${path}/texts`, { query, json, signal, onWait })).json();
    } catch (error) {
      if (!isTooLarge(error) || end - start === 1) throw placed(error, start);
      most = Math.ceil((end - start) / 2);
      continue;
    }
    scored.logits.push(...part.logits);
    scored.copies += part.copies;
    scored.digests += part.digests;
    scored.version ||= part.version;
    start = end;
    onScored(end);
  }
  const { labels, strata, weights } = rows;
  const json = { ...fields, labels, scored, ...(strata && { strata, weights }) };
  return (await send(path, { query, json, signal, onWait })).json();
}

/** An error about a text, with the place of the text in the file instead of that in the request. */
function placed(error, start) {
  const [first] = error.errors ?? [];
  const [, at] = /^#\/texts\/(\d+)$/.exec(first?.pointer ?? "") ?? [];
  if (at === undefined) return error;
  const errors = [{ ...first, pointer: `#/texts/${start + Number(at)}` }];
  return new ApiError({ ...error.problem, errors }, error.status);
}

/**
 * What the artifact's evidence shows: the curve and the operating points, at the prior of the texts.
 *
 * @returns {Promise<{points: object[], operatingPoints: object[]}|null>} null without evidence
 */
export async function heldOut(choice, share, { signal }) {
  const query = { variant: choice.variant, prior: share > 0 && share < 1 ? bounded(share) : null };
  try {
    const [curve, points] = await Promise.all(
      ["threshold-curve", "operating-points"].map((part) => getJson(modelPath(choice.model, part), { query, signal })),
    );
    return { points: curve.points, operatingPoints: points.operating_points };
  } catch (error) {
    if (error.status === 404) return null;
    if (error.status === 422 && query.prior !== null) return heldOut(choice, 0, { signal }); // not calibrated
    throw error;
  }
}

const bounded = (share) => Math.min(Math.max(share, 1e-6), 0.9999);

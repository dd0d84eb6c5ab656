// Numbers of this view, as people read them.
import { count } from "../../format.js";

/** 0.00123 → "0.123 %": three significant digits, never rounded to 0 or 100 */
export function percentOf(share) {
  const value = 100 * share;
  if (share > 0 && share < 1e-6) return "<0.0001 %";
  if (share < 1 && value >= 99.995) return ">99.99 %";
  return `${Number(value.toPrecision(value > 99 ? 4 : 3))} %`;
}

/** A number of messages or hours: whole from 10 on, else two digits. */
export function amount(value) {
  if (value >= 10) return count(value);
  return String(Number(value.toPrecision(2)));
}

/** 0.0654586 → "0.0655"; 0.99991 → "0.99991"; never 1 unless it is */
export function thresholdOf(score) {
  if (score > 0 && score < 0.001) return score.toExponential(1).replace("e-", " · 10^−").replace("^−", "⁻").replace(/\d+$/, superscript);
  if (score >= 0.999995 && score < 1) return ">0.99999";
  if (score > 0.999 && score < 1) return score.toFixed(5);
  return score.toFixed(score < 0.1 ? 4 : 3);
}

const superscript = (digits) => [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");

/** "2 to 12" */
export const range = (lower, upper, write) => `${write(lower)} to ${write(upper)}`;

/** The first point of a curve at or above a threshold, else its last one. */
export const atThreshold = (points, threshold) =>
  points.find((one) => one.threshold >= threshold) ?? points[points.length - 1];

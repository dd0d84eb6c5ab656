// What a result means: the decision of two labels, or the label of more.

import { count } from "./format.js";

/** The decisions in the order in which they are shown, with their names. */
export const DECISIONS = {
  positive: "flagged",
  review: "review",
  negative: "not flagged",
  none: "nothing to judge",
  error: "not scored",
};

/**
 * The key of `DECISIONS`, or the label where there are more than two labels.
 *
 * @param {object} result of the service
 * @param {string[]} labels of the model
 */
export function decisionOf(result, labels) {
  if (result.error) return "error";
  if (result.reason === "no_content") return "none";
  if (labels.length > 2) return result.label;
  return result.decision ?? (result.label === labels[1] ? "positive" : "negative");
}

/** Whether a score was made of the text: not of one without content, even if there is a label. */
export const isScored = (result) => typeof result.score === "number" && result.reason !== "no_content";

/** Why a text has no score, or a score to be read with care; "" for neither. */
export function remarkOf(result, text) {
  if (result.error) {
    const longest = /^Expected a string of length <= (\d+)/.exec(result.error.detail)?.[1];
    return longest ? `The message is longer than the ${count(longest)} characters that the service reads.` : result.error.detail;
  }
  if (!text.trim()) return "There is no text.";
  if (result.reason === "no_content") {
    return "No word has a letter, apart from links and mentions: the model has nothing to judge.";
  }
  if (result.low_evidence) {
    return "The model knows few of these words (is it another language?): read its score with care.";
  }
  return "";
}

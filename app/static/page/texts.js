// Pasted text → messages.

const MOST_LINES = 5; // of a message, in a text whose blank lines separate messages

/**
 * Whether blank lines separate the messages, rather than line ends: there is one of several lines,
 * and none of many. A blank line in a list of messages does not join the others.
 */
export function hasBlocks(pasted) {
  const blocks = splitBlocks(pasted);
  const most = blocks.reduce((longest, block) => Math.max(longest, block.split("\n").length), 0);
  return blocks.length > 1 && most > 1 && most <= MOST_LINES;
}

/** Whether a text has a blank line between two others, so that what a message is has to be guessed. */
export const hasBlankLine = (pasted) => splitBlocks(pasted).length > 1;

/**
 * Return the messages in a pasted text, without white space around them.
 *
 * @param {string} pasted
 * @param {"lines"|"blocks"|"one"} mode what a message is: a line, what is between blank lines, or all
 */
export function splitMessages(pasted, mode) {
  if (mode === "one") return pasted.trim() ? [pasted.trim()] : [];
  if (mode === "blocks") return splitBlocks(pasted);
  return pasted
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}

const splitBlocks = (pasted) =>
  pasted
    .replace(/\r\n?/g, "\n")
    .split(/\n[^\S\n]*(?:\n[^\S\n]*)+/)
    .map((block) => block.trim())
    .filter(Boolean);

/**
 * Cut a text at spans, whose places the service counts in code points; JavaScript counts the halves
 * of surrogate pairs.
 *
 * @param {string} text
 * @param {Array<{start: number, end: number, contribution: number}>} spans which do not overlap
 * @returns {Array<{text: string, contribution: number|null}>} all of the text, in order
 */
export function cut(text, spans) {
  const ordered = [...spans].sort((a, b) => a.start - b.start);
  const parts = [];
  const add = (piece, contribution) => piece && parts.push({ text: piece, contribution });
  let place = 0; // in UTF-16
  let point = 0; // the same place, in code points
  const moveTo = (target) => {
    const from = place;
    for (; point < target && place < text.length; point += 1) {
      place += text.codePointAt(place) > 0xffff ? 2 : 1;
    }
    return text.slice(from, place);
  };
  for (const { start, end, contribution } of ordered) {
    add(moveTo(start), null);
    add(moveTo(end), contribution);
  }
  add(text.slice(place), null);
  return parts;
}

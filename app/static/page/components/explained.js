// A text with the spans that made its score: orange with a solid line raises it, blue with a dashed
// line lowers it, and the stronger, the thicker.
import { html } from "../vendor/htm-preact.js";
import { signed } from "../format.js";
import { cut } from "../texts.js";

const LEVELS = [0.5, 0.25, 0.1]; // of the strongest span that is shown: strong, medium, weak

/** 3 for a strong contribution, 2, 1, or 0 for one that is not marked. */
function levelOf(contribution, strongest) {
  const at = LEVELS.findIndex((least) => Math.abs(contribution) >= least * strongest);
  return at < 0 ? 0 : LEVELS.length - at;
}

/**
 * @param {object} props
 * @param {string} props.text
 * @param {object|null} props.explanation of the service; null while it is loading
 * @param {number} props.strongest the largest size of a contribution among all that is shown
 */
export function Explained({ text, explanation, strongest }) {
  if (!explanation) return html`<p class="text" dir="auto">${text}</p>`;
  return html`
    <p class="text" dir="auto">
      ${cut(text, explanation.spans).map(({ text: part, contribution }) => {
        const level = contribution === null ? 0 : levelOf(contribution, strongest);
        if (level === 0) return part;
        const kind = contribution > 0 ? "raises" : "lowers";
        return html`<mark class=${`${kind} level-${level}`} title=${`${kind} it: ${signed(contribution)}`}>${part}</mark>`;
      })}
    </p>
  `;
}

/** What the marks mean. */
export function Legend({ target }) {
  const marks = (kind) =>
    ["a little", "more", "most"].map((name, at) => html` <mark class=${`${kind} level-${at + 1}`}>${name}</mark>`);
  return html`
    <div class="legend">
      <span>Words that moved the score${target ? ` of ${target}` : ""}:</span>
      <span><strong>+</strong> raised it${marks("raises")}</span>
      <span><strong>−</strong> lowered it${marks("lowers")}</span>
    </div>
  `;
}

/** What adds up to the logit, as a table: for those who do not see the marks, too. */
export function Sum({ text, explanation }) {
  const rows = [
    ["Any text", explanation.base],
    ["Length, capitals, signs", explanation.surface],
    ...cut(text, explanation.spans)
      .filter(({ contribution }) => contribution !== null)
      .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
      .map(({ text: part, contribution }) => [html`<q dir="auto">${part}</q>`, contribution]),
    ["All other words", explanation.rest],
  ];
  if (explanation.penalty !== undefined) rows.push(["Several windows", explanation.penalty]);
  return html`
    <details class="sum">
      <summary>How the score adds up</summary>
      <table>
        <thead>
          <tr><th scope="col">Part</th><th scope="col" class="number">Log-odds</th></tr>
        </thead>
        <tbody>
          ${rows.map(
            ([name, value]) => html`<tr><th scope="row">${name}</th><td class="number">${signed(value)}</td></tr>`,
          )}
        </tbody>
        <tfoot>
          <tr><th scope="row">Sum, before calibration</th><td class="number">${signed(explanation.logit)}</td></tr>
        </tfoot>
      </table>
      ${explanation.windows &&
      html`<p class="quiet">A long text is read in ${explanation.windows.length} windows; the one with the highest score is explained.</p>`}
      <p class="quiet">These are facts about the model, not reasons why a message is right or wrong.</p>
    </details>
  `;
}

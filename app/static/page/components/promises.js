// Operating points, promised against kept.
import { counted, percent, score } from "../format.js";
import { inWords } from "../points.js";
import { html } from "../vendor/htm-preact.js";

const WORDS = {
  kept: "Kept",
  broken: "Broken",
  undecided: "Undecided",
};
const MEANINGS = {
  kept: "the whole interval is within the bound",
  broken: "the whole interval is beyond the bound",
  undecided: "the interval includes the bound: more labels would settle it",
};

/** An estimate with its interval. */
export function Interval({ value, digits = 1 }) {
  if (!value) return "–";
  return html`
    <span class="estimate">${percent(value.estimate, digits)}</span>${" "}
    <span class="range">${percent(value.lower, digits)} to ${percent(value.upper, digits)}</span>
  `;
}

/**
 * The points of the artifact on a user's own texts.
 *
 * @param {{report: object, heldOut: object|null}} props the evaluation; see `heldOut` in labelled.js
 */
export function Promises({ report, heldOut }) {
  const [harmless, positive] = report.labels;
  return html`
    <p>${conclusion(report.shipped)}</p>
    <div class="table-scroll" tabindex="0" role="region" aria-labelledby="promises">
      <table class="promises">
        <caption id="promises">Promised against kept</caption>
        <thead>
          <tr>
            <th scope="col">Operating point</th>
            <th scope="col">Verdict on your texts</th>
            <th scope="col">Caught, of ${positive}</th>
            <th scope="col">False alarms, of ${harmless}</th>
            <th scope="col">Right, of the alerts</th>
          </tr>
        </thead>
        <tbody>
          ${report.shipped.map(
            (point) => html`<${Point} key=${point.operating_point} point=${point} promised=${promisedFor(point, heldOut)} />`,
          )}
        </tbody>
      </table>
    </div>
    <p class="quiet">
      Below each figure for your texts are its 95 % interval and the figure expected from the held-out texts.
      A promise holds at 95 % for texts like those held out; several verdicts at once are less certain than a single one.
    </p>
  `;
}

/** How many promises are kept. */
function conclusion(shipped) {
  const verdicts = shipped.flatMap(({ constraints }) => constraints.map(({ verdict }) => verdict));
  const number = (wanted) => verdicts.filter((verdict) => verdict === wanted).length;
  if (verdicts.length === 0) return "The model makes no promise that these texts could test.";
  const parts = [`${number("kept")} kept`, `${number("broken")} broken`, `${number("undecided")} undecided`];
  return `Of ${counted(verdicts.length, "promise")} of the model, on your texts: ${parts.join(", ")}.`;
}

const promisedFor = (point, heldOut) =>
  heldOut?.operatingPoints.find(
    ({ operating_point: name, fitted }) => fitted && name === point.operating_point && isSame(fitted, point.found),
  )?.fitted ?? nearest(point, heldOut);

const isSame = (fitted, found) => found && Math.abs(fitted.logit - found.logit) < 1e-6;

/** The point of the held-out curve at the same threshold, if there is one close by. */
function nearest({ found }, heldOut) {
  if (!found || !heldOut?.points.length) return null;
  const distance = ({ logit }) => Math.abs(logit - found.logit);
  const best = heldOut.points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return distance(best) <= 0.1 ? best : null;
}

function Point({ point, promised }) {
  const { found, constraints, operating_point: name, is_default: isDefault, problem } = point;
  return html`
    <tr>
      <th scope="row">
        <code>${name || "threshold"}</code>${" "}
        ${isDefault && html`<span class="meaning">The model's own threshold.</span>`}
        <span class="meaning">${inWords(name)}</span>
        ${found && html`<span class="meaning">scores from ${score(found.artifact_threshold)}</span>`}
      </th>
      ${found
        ? html`
            <td>
              ${constraints.length === 0 && html`<span class="meaning">It promises nothing.</span>`}
              ${constraints.map(
                ({ constraint, verdict }) => html`
                  <span class=${`verdict-word ${verdict}`}>${WORDS[verdict]}</span>${" "}
                  <span class="meaning">${constraints.length > 1 && `${constraint}: `}${MEANINGS[verdict]}</span>
                `,
              )}
            </td>
            ${["recall", "fpr", "precision"].map(
              (quantity) => html`
                <td>
                  <${Interval} value=${found[quantity]} />${" "}
                  <span class="meaning">held out ${promised ? percent(promised[quantity].estimate) : "–"}</span>
                </td>
              `,
            )}
          `
        : html`<td colspan="4"><span class="meaning">${problem}</span></td>`}
    </tr>
  `;
}

/** The points that were wanted, fitted on these texts. */
export function Wanted({ report }) {
  if (report.wanted.length === 0) return null;
  const [harmless, positive] = report.labels;
  return html`
    <div class="table-scroll" tabindex="0" role="region" aria-labelledby="wanted">
      <table class="promises">
        <caption id="wanted">Fitted on your texts</caption>
        <thead>
          <tr>
            <th scope="col">Operating point</th>
            <th scope="col">Promised</th>
            <th scope="col">Caught, of ${positive}</th>
            <th scope="col">False alarms, of ${harmless}</th>
            <th scope="col">Right, of the alerts</th>
          </tr>
        </thead>
        <tbody>
          ${report.wanted.map(
            ({ operating_point: name, fitted, promised, problem }) => html`
              <tr key=${name}>
                <th scope="row">
                  <code>${name}</code>${" "}
                  <span class="meaning">${inWords(name)}</span>
                  ${fitted && html`<span class="meaning">scores from ${score(fitted.threshold)} under the new policy</span>`}
                </th>
                ${fitted
                  ? html`
                      <td>
                        <span class="verdict-word">${promised ? "Yes, at 95 %" : "No"}</span>${" "}
                        <span class="meaning">${promised ? "for traffic like these texts" : "a criterion promises nothing"}</span>
                      </td>
                      ${["recall", "fpr", "precision"].map((quantity) => html`<td><${Interval} value=${fitted[quantity]} /></td>`)}
                    `
                  : html`<td colspan="4"><span class="verdict-word broken">Not possible</span> <span class="meaning">${problem}</span></td>`}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

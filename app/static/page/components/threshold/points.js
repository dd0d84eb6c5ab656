// Operating points: those that the evidence can promise, to choose; the others, with the reason.
import { html } from "../../vendor/htm-preact.js";
import { count, counted } from "../../format.js";
import { inWords } from "../../points.js";
import { AnotherPoint } from "./another.js";
import { selectPoint } from "./curve.js";
import { amount, percentOf, thresholdOf } from "./numbers.js";

export function Points({ found, selected, onSelect, onAdd }) {
  if (!found) return html`<h2>Operating points</h2>`;
  const fitted = found.points.filter((one) => one.fitted);
  const refused = found.points.filter((one) => one.infeasible);
  return html`
    <h2>Operating points</h2>
    <p class="quiet">
      A constraint such as <code>${"fpr<=0.005"}</code> is a promise at 95 %, if your messages are like those measured. The measured
      figure is better than the promised one. A threshold that is chosen by looking at the curve promises nothing, nor does <code>macro_f1</code>.
    </p>
    <div class="points" role="group" aria-label="Operating points that can be chosen">
      ${fitted.map(
        (one) => html`
          <button
            type="button"
            class="point"
            key=${one.operating_point}
            data-point=${one.operating_point}
            aria-pressed=${String(selected?.point === one.operating_point)}
            onClick=${() => onSelect(selectPoint(one, selected))}
          >
            <span class="name"
              ><code>${one.operating_point}</code>${" "}
              <span class="tag">${one.fitted.promised ? "promised" : "no promise"}</span>${one.is_default ? html` <span class="tag">in force</span>` : ""}</span
            >
            <span class="facts">
              ${inWords(one.operating_point)}
            </span>
            <span class="facts">
              ${factsOf(one.fitted)}
            </span>
          </button>
        `,
      )}
    </div>
    <${AnotherPoint} onAdd=${onAdd} />
    ${refused.length > 0 &&
    html`
      <h3>What these texts cannot promise</h3>
      <ul class="refused">
        ${refused.map(
          ({ operating_point: point, infeasible: { detail, best, texts_needed: needed } }) => html`
            <li key=${point} data-point=${point}>
              <span class="name"><code>${point}</code> ${best !== null && html`<span class="tag">best: ${best}</span>`}
                ${needed !== null && html` <span class="tag">takes about ${counted(needed, "text")}</span>`}</span>
              <span class="facts">${detail}</span>
            </li>
          `,
        )}
      </ul>
    `}
  `;
}

const factsOf = ({ threshold, recall, precision, alerts_per_10000: alerts }) =>
  [
    `threshold ${thresholdOf(threshold)}`,
    `recall ${percentOf(recall.estimate)}`,
    `precision ${percentOf(precision.estimate)}`,
    `${amount(alerts.estimate)} alerts in 10,000`,
  ].join(" · ");

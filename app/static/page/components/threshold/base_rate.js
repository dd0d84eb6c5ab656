// The share of positive messages: a slider on a logarithmic scale, and a field.
import { html, useState } from "../../vendor/htm-preact.js";
import { decimal, shareOf } from "../../format.js";
import { percentOf } from "./numbers.js";

const LOWEST = 1e-6; // as the service
const HIGHEST = 0.9999;
const TICKS = [0.00001, 0.0001, 0.001, 0.01, 0.1, 0.5];

const left = (prior) => Math.log10(prior / LOWEST) / Math.log10(HIGHEST / LOWEST);

/** Two significant digits: what is shown is what is asked for. */
const rounded = (prior) => Math.min(Math.max(Number(prior.toPrecision(2)), LOWEST), HIGHEST);

/**
 * @param {object} props
 * @param {object} [props.curve] the response of the last base rate, undefined at first
 * @param {number|null} props.prior that is asked for; null for none
 * @param {(prior: number|null) => void} props.onChange
 */
export function BaseRate({ curve, prior, onChange, details, positive }) {
  const [entered, setEntered] = useState(null); // in the field, while it is edited
  const shown = prior ?? curve?.share ?? 0.01;
  const why = reasonToFix(curve, prior, details);
  const isWrong = entered !== null && !(decimal(entered) >= 100 * LOWEST && decimal(entered) <= 100 * HIGHEST);
  const enter = (event) => {
    const { value } = event.target;
    setEntered(value);
    const share = shareOf(value);
    if (share >= LOWEST && share <= HIGHEST) onChange(share);
  };
  return html`
    <div class="head">
      <h2>How many of your messages are ${positive}?</h2>
      <p class="quiet" id="base-rate-note">
        ${why ??
        (prior === null
          ? `Not set: figures are for the ${percentOf(shown)} among the texts that the model was measured on. Your share is probably lower.`
          : "Precision, alerts and scores depend on it: at another share, the same operating point has another threshold. Your messages may differ in this share from the texts measured, but not in kind.")}
      </p>
    </div>
    <div class="rate">
      <div class="scale">
        <input
          type="range"
          name="base-rate"
          aria-label=${`Share of ${positive}, logarithmic`}
          aria-describedby="base-rate-note"
          aria-valuetext=${`${percentOf(shown)} of the messages`}
          min=${Math.log10(LOWEST)}
          max=${Math.log10(HIGHEST)}
          step="any"
          value=${Math.log10(shown)}
          disabled=${why !== null}
          onInput=${(event) => onChange(rounded(10 ** event.target.value))}
          onKeyDown=${(event) => step(event, shown, onChange)}
        />
        <div class="ticks" aria-hidden="true">
          ${TICKS.map(
            (tick) => html`<span style=${{ left: `${100 * left(tick)}%` }}>${percentOf(tick)}</span>`,
          )}
        </div>
      </div>
      <label class="field unit">
        <span>Share in %</span>
        <input
          type="text"
          inputmode="decimal"
          name="base-rate-percent"
          autocomplete="off"
          aria-invalid=${String(isWrong)}
          aria-describedby=${isWrong ? "base-rate-wrong" : null}
          value=${entered ?? Number((100 * shown).toPrecision(4))}
          disabled=${why !== null}
          onInput=${enter}
          onBlur=${() => setEntered(null)}
        />
      </label>
      <button type="button" class="button small" disabled=${why !== null} aria-disabled=${String(prior === null)} onClick=${() => onChange(null)}>
        As measured
      </button>
    </div>
    ${isWrong && html`<p class="wrong" id="base-rate-wrong">Expected a share from 0.0001 to 99.99 %</p>`}
  `;
}

/** Arrow keys move by a tenth of a decade: "any" as step leaves that to the browser. */
function step(event, shown, onChange) {
  const tenths = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 }[event.key];
  if (!tenths) return;
  event.preventDefault();
  onChange(rounded(10 ** ((Math.round(10 * Math.log10(shown)) + tenths) / 10)));
}

function reasonToFix(curve, prior, details) {
  if (prior !== null) return null; // it was moved, so it can be
  if (!curve) return null;
  if (curve.prior !== null) return `The policy ${curve.policy} fixes it at ${percentOf(curve.prior)}.`;
  if (!details.calibrated && curve.evidence === "out_of_fold") {
    return "The scores of this model are not calibrated, so they cannot be corrected to another share.";
  }
  return null;
}

// The next messages in numbers, with prediction intervals.
import { html, useState } from "../../vendor/htm-preact.js";
import { amountOf, counted } from "../../format.js";
import { amount, percentOf, range } from "./numbers.js";

const MAX_VOLUME = 1e9; // as the service
const MAX_MINUTES = 1440;

export function Figures({ plan, isCurrent, numbers, onNumbers, positive }) {
  const counts = (name) => plan?.[name];
  return html`
    <h2>Of your next ${counted(numbers.volume, "message")}</h2>
    <p class="visually-hidden" role="status">${isCurrent ? sentence(plan, positive) : ""}</p>
    <dl class="figures">
      <${Figure} name="true_alerts" title=${`caught: ${positive} that is flagged`} value=${counts("true_alerts")} />
      <${Figure} name="missed" title=${`missed: ${positive} that nobody sees`} value=${counts("missed")} />
      <${Figure} name="false_alerts" title="false alarms" value=${counts("false_alerts")} />
      <${Figure} name="in_review" title="in review" value=${counts("in_review")} absent="no review band" />
      <${Figure} name="found_in_review" title=${`of these ${positive}`} value=${counts("found_in_review")} absent="no review band" />
      <${Figure} name="hours" title=${plan?.in_review ? "reviewer hours" : "reviewer hours, if all flagged messages are reviewed"} value=${counts("hours")} />
    </dl>
    <p class="quiet">In brackets: 95 % prediction intervals, for messages like those measured.</p>
    <div class="fields">
      <${NumberField}
        name="volume"
        label="Messages"
        value=${numbers.volume}
        expected="a whole number from 1 to 1,000,000,000"
        accepts=${(value) => Number.isInteger(value) && value >= 1 && value <= MAX_VOLUME}
        onChange=${(volume) => onNumbers({ ...numbers, volume })}
      />
      <${NumberField}
        name="minutes"
        label="Minutes per review"
        value=${numbers.minutes}
        expected="a number above 0, at most 1440"
        accepts=${(value) => value > 0 && value <= MAX_MINUTES}
        onChange=${(minutes) => onNumbers({ ...numbers, minutes })}
      />
    </div>
    <dl class="rates">
      <${Rate} name="precision" title="precision: alerts that are right" value=${plan?.precision} />
      <${Rate} name="recall" title=${`recall: ${positive} that is flagged`} value=${plan?.recall} />
      <${Rate} name="fpr" title="harmless messages that are flagged" value=${plan?.fpr} />
      <${Rate} name="alerts_per_10000" title="alerts per 10,000" value=${plan?.alerts_per_10000} write=${amount} />
    </dl>
    <p class="quiet">In brackets: 95 % intervals of the mean.</p>
  `;
}

function Figure({ name, title, value, absent = "" }) {
  return html`
    <div class=${`figure ${name}`} data-figure=${name}>
      <dt>${title}</dt>
      <dd>
        <strong>${value ? amount(value.estimate) : "–"}</strong>
        <span class="interval">${value ? `[${range(value.predicted_lower, value.predicted_upper, amount)}]` : absent}</span>
      </dd>
    </div>
  `;
}

function Rate({ name, title, value, write = percentOf }) {
  return html`
    <div data-rate=${name}>
      <dt>${title}</dt>
      <dd>
        <strong>${value ? write(value.estimate) : "–"}</strong>
        <span class="interval">${value ? `[${range(value.lower, value.upper, write)}]` : ""}</span>
      </dd>
    </div>
  `;
}

function NumberField({ name, label, value, accepts, expected, onChange }) {
  const [entered, setEntered] = useState(null);
  const isGood = (text) => accepts(amountOf(text));
  const isWrong = entered !== null && !isGood(entered);
  return html`
    <label class="field">
      <span>${label}</span>
      <input
        type="text"
        inputmode="decimal"
        autocomplete="off"
        name=${name}
        value=${entered ?? String(value)}
        aria-invalid=${String(isWrong)}
        title=${isWrong ? `Expected ${expected}` : null}
        onInput=${(event) => {
          setEntered(event.target.value);
          if (isGood(event.target.value)) onChange(amountOf(event.target.value));
        }}
        onBlur=${() => setEntered(null)}
      />
    </label>
  `;
}

/** The figures in a sentence, for those who do not see them change. */
function sentence(plan, positive) {
  const say = (value, noun) =>
    `${amount(value.estimate)} ${noun} (${range(value.predicted_lower, value.predicted_upper, amount)})`;
  const parts = [say(plan.true_alerts, `${positive} caught`), say(plan.missed, "missed"), say(plan.false_alerts, "false alarms")];
  if (plan.in_review) parts.push(say(plan.in_review, "in review"));
  parts.push(say(plan.hours, "reviewer hours"));
  return `Of your next ${counted(plan.messages, "message")}: ${parts.join(", ")}.`;
}

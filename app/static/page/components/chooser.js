// Chooses the model, its variant and its policy, for all views.
import { html } from "../vendor/htm-preact.js";
import { choose, chooseModel, variantsOf } from "../models.js";
import { useShared } from "../state.js";

const OWN = "\n"; // in no policy's name
const OWN_NAME = "Model's own threshold";

export function Chooser() {
  const { models, choice, details } = useShared();
  const model = models.find((one) => one.model === choice.model);
  if (!model) return null;
  // Those of the served variant are known before its details are.
  const policies = (details ?? model).policies;
  return html`
    <div class="chooser">
      <${Select}
        label="Model"
        value=${choice.model}
        options=${models.map((one) => [one.model, one.model])}
        onChange=${(value) => chooseModel(value)}
      />
      <${Select}
        label="Variant"
        value=${choice.variant ?? model.variant}
        options=${variantsOf(model).map((name) => [name, nameVariant(name, model)])}
        onChange=${(value) => choose({ ...choice, variant: value === model.variant ? null : value })}
      />
      <${Select}
        label="Policy"
        value=${choice.isOwn ? OWN : (choice.policy ?? "")}
        options=${[...withoutName(details ?? model), ...policies.map(({ name }) => [name, name])]}
        onChange=${(value) => choose({ ...choice, policy: value === OWN ? null : value || null, isOwn: value === OWN })}
      />
    </div>
  `;
}

/** A labelled choice among [value, name]. */
export function Select({ label, value, options, onChange, name = label.toLowerCase() }) {
  return html`
    <label class="field">
      <span>${label}</span>
      <select name=${name} value=${value} onChange=${(event) => onChange(event.target.value)}>
        ${options.map(
          ([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`,
        )}
      </select>
    </label>
  `;
}

const nameVariant = (name, { variant, shadow }) =>
  name === variant ? `${name} (served)` : name === shadow ? `${name} (shadow)` : name;

/** The choices that name no policy. */
function withoutName({ default_policy: name, labels }) {
  if (labels.length > 2) return [["", "None: the highest score"]];
  return name ? [["", `Default (${name})`], [OWN, OWN_NAME]] : [["", OWN_NAME]];
}

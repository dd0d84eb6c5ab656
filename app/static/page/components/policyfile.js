// The policy file of an evaluation: to download, with the lines that put it in force.
import { download } from "../csv.js";
import { html, useState } from "../vendor/htm-preact.js";
import { ONCE, reloadCommand, replacing } from "../settings.js";
import { Select } from "./chooser.js";

/**
 * @param {object} props
 * @param {object} props.report the evaluation
 * @param {string} props.source the name of the texts
 * @param {object} props.choice that was evaluated
 */
export function PolicyFile({ report, source, choice }) {
  const feasible = report.wanted.filter(({ fitted }) => fitted).map(({ operating_point: point }) => point);
  const [chosen, setChosen] = useState(null);
  if (!report.policy_file) {
    return html`<p class="notice"><span><strong>No policy file.</strong> ${sentence(report.policy_problem)}</span></p>`;
  }
  const point = feasible.includes(chosen) ? chosen : (feasible[0] ?? null);
  const name = nameOf(source);
  const lines = configuration({ report, choice, name, point });
  const save = () => download(new Blob([report.policy_file], { type: "application/json" }), `${name}.json`);
  return html`
    <section class="stack" aria-labelledby="policy-file">
      <h2 id="policy-file">Decide by your texts</h2>
      <p>
        The policy file has counts of your texts by score, but no text. Put it next to <code>serving.toml</code>, in the
        directory of the models, add these lines to that file, and run <code>${reloadCommand()}</code>. ${ONCE}
      </p>
      ${feasible.length > 1 &&
      html`<div class="choices"><${Select} label="Operating point" name="policy-point" value=${point} options=${feasible.map((one) => [one, one])} onChange=${setChosen} /></div>`}
      ${point === null &&
      html`<p class="notice">No operating point above can be fitted on these texts, so the lines name none: the policy keeps the threshold of the model.</p>`}
      <pre class="code" tabindex="0" role="region" aria-label="Lines for serving.toml"><code>${lines}</code></pre>
      <div class="actions">
        <button type="button" class="button primary" onClick=${save}>Download ${name}.json</button>
        <${Copy} text=${lines} />
      </div>
    </section>
  `;
}

function Copy({ text }) {
  const [state, setState] = useState("");
  if (!navigator.clipboard) return null; // where the address is neither local nor HTTPS
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setState("Copied."),
      () => setState("The browser does not allow copying."),
    );
  return html`
    <button type="button" class="button" onClick=${copy}>Copy the lines</button>
    <span class="quiet" role="status">${state}</span>
  `;
}

/** A name for the policy and its file: of letters, digits and hyphens. */
export function nameOf(source) {
  const name = source.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  return name || "own";
}

/** The lines of serving.toml. */
export function configuration({ report, name, point }) {
  return [
    replacing(report.model),
    `[models.${key(report.model)}]`,
    `variant = ${string(report.variant)}`,
    `default_policy = ${string(name)}`,
    "",
    `[models.${key(report.model)}.policies.${key(name)}]`,
    ...(point === null ? [] : [`operating_point = ${string(point)}`]),
    ...(report.prior === null ? [] : [`prior = ${report.prior}`]),
    `calibration = ${string(`${name}.json`)}`,
    "",
  ].join("\n");
}

const string = (value) => JSON.stringify(value); // a TOML string, of what names have
const key = (value) => (/^[A-Za-z0-9_-]+$/.test(value) ? value : string(value));

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;

// What the curve is measured on.
import { html } from "../../vendor/htm-preact.js";
import { count } from "../../format.js";

const KINDS = {
  out_of_fold: "texts that were held out of training in turn, so that each was scored by a network that had not learned from it",
  labelled: "your own labelled texts, from the policy file",
};

export function Evidence({ curve, positive }) {
  if (!curve) return html`<h2>Measured on</h2>`;
  const total = (name) => curve.sources.reduce((sum, one) => sum + one[name], 0);
  return html`
    <h2>Measured on</h2>
    <p>
      <strong>${count(total("harmless"))} harmless and ${count(total("positive"))} ${positive} ${total("positive") === 1 ? "text" : "texts"}</strong>: ${KINDS[curve.evidence] ??
      curve.evidence} (<code>${curve.evidence}</code>). Near copies count once. ${curve.model}/${curve.variant}, version <code>${curve.version}</code>.
    </p>
    <p>
      Every figure here is for messages like these texts. Only the share of ${positive} may differ in
      your traffic, not the kind of messages: in another language, or of another audience, other
      figures hold. Measure them under <a href="#traffic">Your traffic</a>.
    </p>
    <div class="scrolled" tabindex="0" role="region" aria-label="Sources">
      <table>
        <thead>
          <tr><th scope="col">Source</th><th scope="col">Harmless</th><th scope="col">${positive}</th></tr>
        </thead>
        <tbody>
          ${curve.sources.map(
            (one) => html`<tr key=${one.source}>
              <th scope="row">${one.source}</th><td>${count(one.harmless)}</td><td>${count(one.positive)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

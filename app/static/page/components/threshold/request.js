// What is on the screen as a request and as settings, to copy.
import { html, useState } from "../../vendor/htm-preact.js";
import { reloadCommand, replacing } from "../../settings.js";
import { useShared } from "../../state.js";

const TEXT = "See you at six";

export function RequestToCopy({ choice, details, policy, found, selected }) {
  const { key } = useShared();
  if (!found || !selected) return html`<p class="quiet">Loading …</p>`;
  const asked = fieldsOf(details, policy, found, selected);
  const facts = { model: details.model, variant: choice.variant, asked, selected, hasKey: Boolean(key), base: baseOf() };
  return html`
    ${asked.note && html`<p class="quiet">${asked.note}</p>`}
    <${Snippet} name="curl" title="curl" code=${curlOf(facts)} />
    <${Snippet} name="python" title="Python" code=${pythonOf(facts)} />
    <${Snippet} name="settings" title="serving.toml" code=${settingsOf(details, policy, found, selected)} />
    <p class="quiet">
      The lines take effect after <code>${reloadCommand()}</code>. A policy in serving.toml is for all requests that name it. Only a policy has a review band: results
      then say positive, review or negative.
      ${selected.point === null && " A threshold given as a number promises nothing, and does not change when the model is trained again."}
    </p>
  `;
}

function Snippet({ name, title, code }) {
  const [state, setState] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      setState("Copied");
    } catch {
      setState("The browser does not allow copying here: select the text and copy it");
    }
    setTimeout(() => setState(""), 2500);
  };
  return html`
    <div class="snippet" data-snippet=${name}>
      <div class="actions">
        <h3>${title}</h3>
        <button type="button" class="button small" aria-label=${`Copy ${title}`} onClick=${copy}>Copy</button>
        <span class="quiet" role="status">${state}</span>
      </div>
      <pre tabindex="0" role="region" aria-label=${title}><code>${code}</code></pre>
    </div>
  `;
}

const baseOf = () => new URL("./", document.baseURI).href.replace(/[?#].*$/, "");

/** The fields of a request that decide: the operating point, the policy, or the threshold. */
function fieldsOf(details, policy, { prior, curve }, selected) {
  const configured = details.policies.find((one) => one.name === policy);
  if (configured && prior === null && selected.threshold === configured.threshold) {
    return { fields: { policy }, note: null };
  }
  if (curve.evidence !== "out_of_fold") {
    return {
      fields: { policy },
      note: `The policy ${policy} has its own calibration. A request can name the policy, but any other threshold must be written into serving.toml.`,
    };
  }
  const decides = selected.point === null ? { threshold: selected.threshold } : { operating_point: selected.point };
  return { fields: curve.prior === null ? decides : { ...decides, prior: curve.prior }, note: null };
}

const urlOf = ({ base, model, variant }) =>
  `${base}classify/${encodeURIComponent(model)}${variant ? `?variant=${encodeURIComponent(variant)}` : ""}`;

/** In single quotes for a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curlOf(facts) {
  const body = JSON.stringify({ texts: [TEXT], ...facts.asked.fields });
  return [
    `curl ${quoted(urlOf(facts))}`,
    ...(facts.hasKey ? ['-H "Authorization: Bearer $DANDELION_API_KEY"'] : []),
    "-H 'Content-Type: application/json'",
    `-d ${quoted(body)}`,
  ].join(" \\\n  ");
}

function pythonOf({ base, model, variant, asked, selected, hasKey }) {
  const options = Object.entries({ ...asked.fields, ...(variant ? { variant } : {}) });
  const given = options.map(([name, value]) => `, ${name}=${JSON.stringify(value)}`).join("");
  const { review } = selected;
  const hasBand = review && !asked.fields.policy;
  const decide = [
    `        score = result.score  # None for a text without content`,
    `        if score is not None and ${review?.threshold} <= score < ${selected.threshold}:`,
    `            print("review", score)`,
    `        else:`,
    `            print(result.label, score)`,
  ];
  return [
    ...(hasKey ? ["import os", ""] : []),
    `from dandelion.client import Client`,
    ``,
    `with Client(${JSON.stringify(base.replace(/\/$/, ""))}${hasKey ? ', api_key=os.environ["DANDELION_API_KEY"]' : ""}) as client:`,
    `    for result in client.classify(${JSON.stringify(model)}, [${JSON.stringify(TEXT)}]${given}):`,
    ...(hasBand ? decide : [`        print(result.label, result.score)`]),
  ].join("\n");
}

function settingsOf(details, policy, { curve }, selected) {
  const { model, variant } = details;
  const configured = details.policies.find((one) => one.name === policy);
  const { point, review } = selected;
  const bandOf = () => {
    if (!review) return [];
    const isFitted = configured?.review && review.threshold === configured.review_threshold;
    return [isFitted ? `review = ${JSON.stringify(configured.review)}` : `review_threshold = ${numberOf(review.threshold)}`];
  };
  return [
    ...(policy ? [] : [replacing(model)]),
    `[models.${nameOf(model)}]`,
    `variant = ${JSON.stringify(variant)}`,
    ``,
    `[models.${nameOf(model)}.policies.${policy ? nameOf(policy) : "chosen"}]`,
    point === null ? `threshold = ${numberOf(selected.threshold)}` : `operating_point = ${JSON.stringify(point)}`,
    ...bandOf(),
    ...(curve.prior === null ? [] : [`prior = ${numberOf(curve.prior)}`]),
    ...(curve.evidence === "out_of_fold" ? [] : ["# and its line: calibration = …"]),
  ].join("\n");
}

/** TOML has 1.0, and no 1. */
const numberOf = (value) => (Number.isInteger(value) ? value.toFixed(1) : String(value));

const nameOf = (name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));

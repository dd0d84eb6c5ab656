// The results of a job: counts, a filter, the messages with their spans, the CSV file.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { isCancelled } from "../api.js";
import { classifyAll } from "../batches.js";
import { download, isFormula, writeCsv } from "../csv.js";
import { DECISIONS, decisionOf, isScored, remarkOf } from "../decisions.js";
import { count, counted, percent, score, scoreNextTo } from "../format.js";
import { Explained, Legend, Sum } from "./explained.js";
import { Folded } from "./folded.js";
import { Problem } from "./problem.js";

const SHOWN = 25;
const SPANS = 20; // of an explanation

/** @param {{job: object}} props see `run` in views/messages.js */
export function Results({ job }) {
  const { results, labels } = job;
  const [filter, setFilter] = useState(null);
  const [isSorted, setIsSorted] = useState(false);
  const [shown, setShown] = useState(SHOWN);
  const decisions = useMemo(() => results.map((result) => decisionOf(result, labels)), [results]);
  const counts = useMemo(() => tally(decisions, labels), [decisions]);
  const order = useMemo(() => {
    const places = results.map((_, at) => at).filter((at) => !filter || decisions[at] === filter);
    if (isSorted) places.sort((a, b) => (results[b].score ?? -1) - (results[a].score ?? -1));
    return places;
  }, [results, filter, isSorted]);
  const visible = useMemo(() => order.slice(0, shown), [order, shown]);
  const { explanations, error } = useExplanations(job, visible);
  const strongest = Math.max(
    1e-9,
    ...visible.flatMap((at) => explanations.get(at)?.spans.map((span) => Math.abs(span.contribution)) ?? []),
  );
  const narrow = (key) => {
    setFilter(filter === key ? null : key);
    setShown(SHOWN);
  };
  return html`
    <${Rule} job=${job} />
    <div class="counts">
      <div class="chips" role="group" aria-label="Show only">
        ${counts.map(
          ([key, number]) => html`
            <button type="button" key=${key} class="chip" aria-pressed=${filter === key} onClick=${() => narrow(key)}>
              <span class="chip-count">${count(number)}</span> ${DECISIONS[key] ?? key}
            </button>
          `,
        )}
      </div>
      <label class="check">
        <input type="checkbox" checked=${isSorted} onChange=${(event) => setIsSorted(event.target.checked)} />
        Highest scores first
      </label>
    </div>
    <div class="results-tools"><${Download} job=${job} decisions=${decisions} /></div>
    <${Legend} target=${labels.length === 2 ? labels[1] : null} />
    <${Problem} error=${error} />
    <ol class="results">
      ${visible.map(
        (at) => html`
          <${Row}
            key=${at}
            at=${at}
            text=${job.texts[at]}
            result=${results[at]}
            decision=${decisions[at]}
            explanation=${explanations.get(at) ?? null}
            strongest=${strongest}
            threshold=${job.response?.threshold ?? null}
          />
        `,
      )}
    </ol>
    ${order.length > shown &&
    html`<button type="button" class="button" onClick=${() => setShown(shown + SHOWN)}>
      Show more (${count(order.length - shown)} left)
    </button>`}
  `;
}

/** By what the messages were decided. */
function Rule({ job }) {
  const { response, labels, policies, choice } = job;
  if (!response) return null;
  const by = html`<span class="quiet by">${choice.model} · ${response.variant} · version <code>${response.version}</code></span>`;
  if (labels.length > 2) {
    return html`<p class="rule">Each message gets the label with the highest score. ${by}</p>`;
  }
  const policy = policies.find(({ name }) => name === response.policy);
  return html`
    <p class="rule">
      Flagged as <strong>${labels[1]}</strong> from a score of <strong>${score(response.threshold)}</strong>
      ${policy ? html` by the policy <strong>${policy.name}</strong>` : " (the model's own threshold)"}${policy?.review_threshold != null &&
      html`, for review from <strong>${score(policy.review_threshold)}</strong>`}.
      ${response.prior && ` Scores are for ${percent(response.prior, 2)} ${labels[1]} in the traffic.`} ${by}
    </p>
  `;
}

function Row({ at, text, result, decision, explanation, strongest, threshold }) {
  const remark = remarkOf(result, text);
  const hasScore = isScored(result);
  return html`
    <li class="result">
      <div class="verdict">
        <span class=${`badge ${kindOf(decision)}`}>${DECISIONS[decision] ?? breakable(decision)}</span>
        ${hasScore && html`<${Meter} score=${result.score} threshold=${threshold} kind=${kindOf(decision)} />`}
      </div>
      <div class="message">
        <${Folded} text=${text}>
          <${Explained} text=${text} explanation=${explanation} strongest=${strongest} />
        <//>
        ${remark && html`<p class="remark">${remark}</p>`}
        ${explanation && hasScore && html`<${Sum} text=${text} explanation=${explanation} />`}
        ${hasScore && result.scores && html`<${Scores} scores=${result.scores} />`}
      </div>
      <span class="place" aria-hidden="true">${at + 1}</span>
    </li>
  `;
}

/** A label, which may be broken after each underscore. */
const breakable = (label) => label.split(/(?<=_)/).map((part) => html`${part}<wbr />`);

/** A score, and where it stands next to the threshold. */
function Meter({ score: value, threshold, kind }) {
  return html`
    <span class="meter">
      <span class="visually-hidden">score </span>
      <span class="meter-value">${scoreNextTo(value, threshold)}</span>
      <span class=${`meter-bar ${kind}`} aria-hidden="true">
        <span class="meter-fill" style=${{ width: `${100 * value}%` }}></span>
        ${threshold !== null && html`<span class="meter-threshold" style=${{ left: `${100 * threshold}%` }}></span>`}
      </span>
    </span>
  `;
}

function Scores({ scores }) {
  const ordered = Object.entries(scores).sort(([, a], [, b]) => b - a);
  return html`
    <details class="sum">
      <summary>Score of each label</summary>
      <table>
        <tbody>
          ${ordered.map(
            ([label, value]) => html`<tr><th scope="row">${label}</th><td class="number">${score(value)}</td></tr>`,
          )}
        </tbody>
      </table>
    </details>
  `;
}

function Download({ job, decisions }) {
  const { table, texts, results } = job;
  const [isSafe, setIsSafe] = useState(true);
  const formulas = useMemo(
    () => (table?.rows ?? texts.map((text) => [text])).reduce((sum, row) => sum + row.filter(isFormula).length, 0),
    [job.texts],
  );
  const save = () => {
    const columns = table?.columns ?? ["text"];
    const added = ["label", "score", "decision", "note"].map((name) =>
      columns.includes(name) ? `dandelion_${name}` : name,
    );
    const rows = texts.map((text, at) => {
      const kept = table?.rows[at] ?? [text];
      const result = results[at];
      if (!result) return [...kept, "", "", "", "not scored"];
      const decision = job.labels.length > 2 ? (result.reason ? "none" : "") : decisions[at];
      const note = result.error?.detail ?? result.reason ?? (result.low_evidence ? "low_evidence" : "");
      return [...kept, result.label ?? "", result.score ?? "", decision === "error" ? "" : decision, note];
    });
    const name = (table?.name ?? "messages.csv").replace(/\.[^.]*$/, "");
    download(writeCsv([...columns, ...added], rows, { isForSpreadsheets: isSafe, delimiter: table?.delimiter }), `${name}-scored.csv`);
  };
  return html`
    <button type="button" class="button small" onClick=${save}>Download as CSV</button>
    ${formulas > 0 &&
    html`
      <label class="check">
        <input type="checkbox" name="safe" checked=${isSafe} onChange=${(event) => setIsSafe(event.target.checked)} />
        Safe for spreadsheets: puts ' before ${counted(formulas, "cell")} that would run as a formula
      </label>
    `}
  `;
}

/** Read the explanations of what is visible, as it becomes so. */
function useExplanations(job, visible) {
  const [explanations, setExplanations] = useState(new Map());
  const [error, setError] = useState(null);
  const known = useRef(explanations);
  useEffect(() => {
    known.current = new Map();
    setExplanations(known.current);
  }, [job.texts]);
  useEffect(() => {
    const missing = visible.filter((at) => isScored(job.results[at]) && !known.current.has(at));
    if (missing.length === 0) return undefined;
    const reader = new AbortController();
    const texts = missing.map((at) => job.texts[at]);
    let done = 0;
    const onResults = (_, found) => {
      const next = new Map(known.current);
      for (const result of found) {
        if (result.explanation) next.set(missing[done], result.explanation);
        done += 1;
      }
      known.current = next;
      setExplanations(next);
    };
    setError(null);
    classifyAll(job.choice, texts, { ...job.fields, explain: SPANS }, { signal: reader.signal, onResults }).catch((reason) => {
      if (!isCancelled(reason)) setError(reason);
    });
    return () => reader.abort();
  }, [job.texts, visible]);
  return { explanations, error };
}

/** [key, count] of each decision that occurs, or of each label, the most frequent first. */
function tally(decisions, labels) {
  const counts = new Map();
  for (const decision of decisions) counts.set(decision, (counts.get(decision) ?? 0) + 1);
  if (labels.length > 2) return [...counts].sort(([, a], [, b]) => b - a);
  return Object.keys(DECISIONS)
    .filter((key) => counts.has(key))
    .map((key) => [key, counts.get(key)]);
}

const kindOf = (decision) => (decision in DECISIONS ? decision : "label");

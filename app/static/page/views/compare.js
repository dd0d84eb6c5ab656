// Two variants on the same messages: those on which they disagree first.
import { getJson, isCancelled, modelPath } from "../api.js";
import { classifyAll } from "../batches.js";
import { compare, pairs } from "../comparison.js";
import { Select } from "../components/chooser.js";
import { Folded } from "../components/folded.js";
import { Problem } from "../components/problem.js";
import { Progress } from "../components/progress.js";
import { NOTHING, Source, textsOf } from "../components/source.js";
import { download, isFormula, writeCsv } from "../csv.js";
import { DECISIONS } from "../decisions.js";
import { count, counted, percent, score, signed } from "../format.js";
import { policyOf } from "../models.js";
import { ONCE, reloadCommand, replacing } from "../settings.js";
import { useShared } from "../state.js";
import { html, useMemo, useRef, useState } from "../vendor/htm-preact.js";

const SHOWN = 25;

export function Compare({ choice, details }) {
  const { models } = useShared();
  const [source, setSource] = useState(NOTHING);
  const [picked, setPicked] = useState(null);
  const [isOwn, setIsOwn] = useState(false); // by the threshold of each variant, not by a policy
  const [job, setJob] = useState(null);
  const cancel = useRef(() => {});
  const texts = useMemo(() => textsOf(source), [source]);
  const served = models.find(({ model }) => model === choice.model);
  const left = choice.variant ?? served.variant;
  const others = [...new Set([served.variant, ...served.variants])].filter((variant) => variant !== left);
  const right = others.includes(picked) ? picked : others[0];
  const isRunning = job?.state === "running";
  const policy = policyOf(choice, details);
  const hasPolicy = Boolean(policy) && details.labels.length === 2;
  const byOwn = choice.isOwn || (hasPolicy && isOwn);
  const isReady = right !== undefined && details && texts.length > 0;
  const submit = () => {
    const job = { choice, details, isOwn: byOwn, texts, table: source.table, variants: [left, right] };
    if (isReady && !isRunning) cancel.current = run(job, setJob);
  };
  return html`
    <div class="intro">
      <h1>Compare</h1>
      <p>Score the same messages with two variants of a model. Messages on which they disagree come first.</p>
    </div>
    ${right === undefined
      ? html`<${Alone} model=${choice.model} variant=${left} />`
      : html`
          <div class="card stack">
            <div class="choices">
              <p class="field"><span>Variant</span><strong>${left}</strong></p>
              <${Select} label="Compared with" name="other" value=${right} options=${others.map((name) => [name, name])} onChange=${setPicked} />
              ${hasPolicy &&
              html`<${Select} label="Decided by" name="rule" value=${isOwn ? "own" : "policy"} onChange=${(value) => setIsOwn(value === "own")}
                options=${[["policy", `the policy ${policy}`], ["own", "the threshold of each variant"]]} />`}
            </div>
            ${hasPolicy && !isOwn && html`<p class="quiet">A policy with a policy file fits only one variant: if yours has one, choose the threshold of each variant.</p>`}
            <${Source} source=${source} found=${texts.length} onChange=${setSource} onSubmit=${submit} />
            <button type="button" class="button primary" disabled=${!isReady} aria-disabled=${String(isRunning)} onClick=${submit}>
              ${texts.length > 0 ? `Compare on ${counted(texts.length, "message")}` : "Compare"}
            </button>
          </div>
        `}
    ${job &&
    html`<section class="stack" aria-label="Comparison">
      <${Outcome} job=${job} isOther=${job.variants[0] !== left || job.variants[1] !== right || job.choice.model !== choice.model || job.isOwn !== byOwn} onCancel=${() => cancel.current()} />
    </section>`}
  `;
}

function Alone({ model, variant }) {
  const lines = `${replacing(model)}\n[models.${model}]\nvariant = "${variant}"\nvariants = ["another variant"]\n`;
  return html`
    <div class="notice stack">
      <p>One variant of <strong>${model}</strong> is loaded: ${variant}. To compare it with another one, name the other in <code>serving.toml</code>, and run <code>${reloadCommand()}</code>. ${ONCE}</p>
      <pre class="code" tabindex="0" role="region" aria-label="Lines for serving.toml"><code>${lines}</code></pre>
    </div>
  `;
}

function Outcome({ job, isOther, onCancel }) {
  const { state, done, texts, started, waiting, error, rows } = job;
  return html`
    ${state === "running" &&
    html`<${Progress} done=${done} total=${2 * texts.length} started=${started} waiting=${waiting} onCancel=${onCancel} />`}
    ${state === "cancelled" && html`<p class="notice" role="status">Cancelled.</p>`}
    <${Problem} error=${error} />
    ${rows && isOther && html`<p class="notice">This is the comparison of another choice: ${job.choice.model}, ${job.variants.join(" and ")}.</p>`}
    ${rows && html`<${Rows} job=${job} />`}
  `;
}

const named = (decision) => DECISIONS[decision] ?? decision;

function Rows({ job }) {
  const { rows, variants, results, texts, labels } = job;
  const [shown, setShown] = useState(SHOWN);
  const differing = rows.filter(({ differs }) => differs).length;
  const differences = rows.map(({ difference }) => difference).filter((one) => one !== null);
  const moved = differences.reduce((sum, one) => sum + Math.abs(one), 0) / differences.length;
  return html`
    <div class="summary">
      <p class="visually-hidden" role="status">The comparison is done.</p>
      <h2>
        ${variants.join(" and ")} disagree on ${count(differing)} of ${counted(rows.length, "message")} (${percent(differing / rows.length)})
      </h2>
      ${differences.length > 0 &&
      html`<p class="quiet">Their scores differ by ${moved.toFixed(3)} on average. If the variants are calibrated differently, a larger score need not mean more: look at the decisions.</p>`}
    </div>
    <div class="table-scroll" tabindex="0" role="region" aria-labelledby="pairs">
      <table class="measured two-names">
        <caption id="pairs">Decisions</caption>
        <thead><tr>${variants.map((name) => html`<th scope="col">${name}</th>`)}<th scope="col">Messages</th></tr></thead>
        <tbody>
          ${pairs(rows).map(
            ([left, right, number]) => html`<tr class=${left === right ? "" : "differs"}><th scope="row">${named(left)}</th><td>${named(right)}</td><td>${count(number)}</td></tr>`,
          )}
        </tbody>
      </table>
    </div>
    <div class="actions"><${Download} job=${job} /></div>
    <div class="table-scroll" tabindex="0" role="region" aria-labelledby="messages-compared">
      <table class="compared">
        <caption id="messages-compared">Messages: different decisions first, then by the difference of the scores</caption>
        <thead>
          <tr><th scope="col">Message</th>${variants.map((name) => html`<th scope="col">${name}</th>`)}<th scope="col">Difference</th></tr>
        </thead>
        <tbody>
          ${rows.slice(0, shown).map(
            (row) => html`
              <tr key=${row.at} class=${row.differs ? "differs" : ""}>
                <th scope="row"><${Folded} text=${texts[row.at]}><div dir="auto">${texts[row.at]}</div><//></th>
                ${["left", "right"].map(
                  (side, place) => html`<td><span class="badge">${named(row[side])}</span> ${scoreOf(results[place][row.at])}</td>`,
                )}
                <td>${row.difference === null ? "" : labels.length > 2 ? row.difference.toFixed(3) : signed(row.difference, 3)}${row.differs && html`<span class="meaning">decided differently</span>`}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
    ${rows.length > shown &&
    html`<button type="button" class="button" onClick=${() => setShown(shown + SHOWN)}>Show more (${count(rows.length - shown)} left)</button>`}
  `;
}

/** The score, or with more than two labels that of the chosen one. */
const valueOf = (result) => result.score ?? result.scores?.[result.label] ?? null;

const scoreOf = (result) => (valueOf(result) === null ? "" : score(valueOf(result)));

function Download({ job }) {
  const { table, texts, rows, results, variants } = job;
  const [isSafe, setIsSafe] = useState(true);
  const given = table?.rows ?? texts.map((text) => [text]);
  const formulas = useMemo(() => given.reduce((sum, row) => sum + row.filter(isFormula).length, 0), [job.texts]);
  const save = () => {
    const added = variants.flatMap((name) => [`${name}_decision`, `${name}_score`]);
    const columns = [...(table?.columns ?? ["text"]), ...added, "differs"];
    const lines = rows.map(({ at, left, right, differs }) => [
      ...given[at],
      ...[left, right].flatMap((decision, place) => [decision, valueOf(results[place][at]) ?? ""]),
      differs ? "yes" : "no",
    ]);
    const name = (table?.name ?? "messages.csv").replace(/\.[^.]*$/, "");
    download(writeCsv(columns, lines, { isForSpreadsheets: isSafe, delimiter: table?.delimiter }), `${name}-compared.csv`);
  };
  return html`
    <button type="button" class="button small" onClick=${save}>Download as CSV</button>
    ${formulas > 0 &&
    html`<label class="check">
      <input type="checkbox" name="safe" checked=${isSafe} onChange=${(event) => setIsSafe(event.target.checked)} />
      Safe for spreadsheets: ' before ${formulas === 1 ? "the cell" : `the ${count(formulas)} cells`} that would run as a formula
    </label>`}
  `;
}

/** A variant's own threshold, for scores without a policy. */
const thresholdOf = async (model, variant, signal) =>
  (await getJson(modelPath(model), { query: { variant }, signal })).threshold;

/**
 * Score the messages with both variants, one after the other, and report each change of the job:
 * `choice`, `isOwn` (decided by the threshold of each), `variants`, `labels`, `texts`, `table` (or null), `state` (running, done, cancelled,
 * failed), `done` (of twice as many as texts), `results` of each variant, `rows` (see `compare`),
 * `waiting`, `started`, `error`.
 *
 * @returns {() => void} cancels it
 */
function run({ choice, details, isOwn, texts, table, variants }, onChange) {
  const controller = new AbortController();
  let job = { choice, isOwn, variants, labels: details.labels, texts, table, state: "running", done: 0 };
  job = { ...job, results: [], rows: null, waiting: null, error: null, started: performance.now() };
  const change = (changes) => {
    job = { ...job, ...changes };
    onChange(job);
  };
  const work = async () => {
    for (const variant of variants) {
      const before = job.results.length * texts.length;
      const fields = isOwn ? { threshold: await thresholdOf(choice.model, variant, controller.signal) } : {};
      const { results } = await classifyAll({ ...choice, variant }, texts, fields, {
        signal: controller.signal,
        onResults: (done) => change({ done: before + done, waiting: null }),
        onWait: (seconds, { message }) => change({ waiting: { seconds, detail: message } }),
      });
      change({ results: [...job.results, results] });
    }
    change({ state: "done", rows: compare(...job.results, job.labels) });
  };
  change({});
  work().catch((error) =>
    isCancelled(error) ? change({ state: "cancelled", waiting: null }) : change({ state: "failed", waiting: null, error }),
  );
  return () => controller.abort();
}

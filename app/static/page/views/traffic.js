// A user's own labelled texts: what the model promised, what it keeps on them, and a policy file.
import { isCancelled } from "../api.js";
import { LabelledFile } from "../components/labelledfile.js";
import { OwnCurve } from "../components/owncurve.js";
import { PolicyFile } from "../components/policyfile.js";
import { Problem } from "../components/problem.js";
import { Progress } from "../components/progress.js";
import { Interval, Promises, Wanted } from "../components/promises.js";
import { count, counted, percent, score, shareOf } from "../format.js";
import { evaluate, hasTooMany, heldOut, labelledRows, sourceOf, valuesOf } from "../labelled.js";
import { html, useMemo, useRef, useState } from "../vendor/htm-preact.js";

const POINTS = "fpr<=0.01\nrecall>=0.9\nprecision>=0.9";

export function Traffic({ choice, details }) {
  const [file, setFile] = useState(null);
  const [points, setPoints] = useState(POINTS);
  const [share, setShare] = useState("");
  const [job, setJob] = useState(null);
  const cancel = useRef(() => {});
  const prior = share.trim() === "" ? null : shareOf(share);
  const isPriorWrong = prior !== null && !(prior >= 1e-6 && prior <= 0.9999);
  const isUsable = useMemo(() => file && isLabelled(file), [file]);
  const isRunning = job?.state === "running";
  const isReady = details && isUsable && !isPriorWrong;
  const submit = () => {
    const wanted = [...new Set(points.split("\n").map((line) => line.trim()).filter(Boolean))];
    if (isReady && !isRunning) cancel.current = run({ choice, details, file, wanted, prior }, setJob);
  };
  if (details && details.labels.length > 2) {
    return html`<${Intro} /><p class="notice">This model has ${details.labels.length} labels and returns the one with the highest score: it has no threshold, so nothing can be promised. Choose a model with two labels.</p>`;
  }
  return html`
    <${Intro} />
    <div class="card stack">
      <${LabelledFile} file=${file} labels=${details?.labels ?? ["harmless", "positive"]} onChange=${setFile} />
      ${file &&
      html`
        <div class="choices">
          <label class="field">
            <span>Operating points to fit, one per line</span>
            <textarea name="points" rows="3" spellcheck=${false} value=${points} onInput=${(event) => setPoints(event.target.value)}></textarea>
          </label>
          <label class="field">
            <span>Share of ${details?.labels[1] ?? "positive texts"} in your traffic, in percent, if it differs from the file</span>
            <input name="share" inputmode="decimal" placeholder="as in the file" value=${share}
              aria-invalid=${isPriorWrong} aria-describedby="share-hint" onInput=${(event) => setShare(event.target.value)} />
            <span id="share-hint" class="quiet">${isPriorWrong ? "Expected a number from 0.0001 to 99.99." : "If positive texts were added to your sample on purpose, its share is not that of your traffic."}</span>
          </label>
        </div>
      `}
      <div class="actions">
        <button type="button" class="button primary" disabled=${!isReady} aria-disabled=${String(isRunning)} onClick=${submit}>Evaluate</button>
        <span class="quiet">Only this service scores your texts, and it keeps none of them.</span>
      </div>
    </div>
    <section class="stack" aria-label="Evaluation">
      ${job && html`<${Outcome} job=${job} choice=${choice} onCancel=${() => cancel.current()} onAgain=${submit} />`}
    </section>
  `;
}

const Intro = () => html`
  <div class="intro">
    <h1>Your traffic</h1>
    <p>Drop your own labelled messages. You see which of the model's promises hold on them, and get a policy fitted to them.</p>
  </div>
`;

function isLabelled({ table, label }) {
  const values = valuesOf(table, label);
  return values.length > 0 && !hasTooMany(values);
}

function Outcome({ job, choice, onCancel, onAgain }) {
  const { state, rows, done, started, waiting, error, report } = job;
  const isOther = state !== "running" && ["model", "variant"].some((name) => job.choice[name] !== choice[name]);
  return html`
    ${state === "running" &&
    (done < rows.texts.length
      ? html`<${Progress} done=${done} total=${rows.texts.length} started=${started} waiting=${waiting} onCancel=${onCancel} />`
      : html`<p role="status">All texts are scored. ${waiting ? waiting.detail : "Fitting thresholds and intervals …"}</p>`)}
    ${state === "cancelled" && html`<p class="notice" role="status">Cancelled.</p>`}
    <${Problem} error=${error} onRetry=${error ? onAgain : undefined} />
    ${error?.status === 504 &&
    html`<p class="notice">A smaller file may do. The command <code>dandelion evaluate</code> has no time limit.</p>`}
    ${isOther &&
    html`<p class="notice">This is the evaluation of another choice. <button type="button" class="button small" onClick=${onAgain}>Evaluate again</button></p>`}
    ${report && html`<${Report} job=${job} />`}
  `;
}

function Report({ job }) {
  const { report, rows, source, curves } = job;
  return html`
    <p class="visually-hidden" role="status">The evaluation is done.</p>
    <${Summary} report=${report} rows=${rows} />
    ${report.is_flagged_only
      ? html`<${Flagged} report=${report} />`
      : html`
          <${Promises} report=${report} heldOut=${curves} />
          <div class="card"><${OwnCurve} report=${report} heldOut=${curves} /></div>
          <${Wanted} report=${report} />
        `}
    <div class="card"><${PolicyFile} report=${report} source=${source} choice=${job.choice} /></div>
  `;
}

function Summary({ report, rows }) {
  const [harmless, positive] = report.labels;
  const { calibration } = report;
  const remarks = [
    report.auroc?.upper < 0.5 && "AUROC below 50 %: are the labels the wrong way round, or are these texts for another model?",
    report.contradictions > 0 &&
      `${counted(report.contradictions, "group")} of near copies ${report.contradictions === 1 ? "has" : "have"} both labels: each counts with the label of its majority.`,
    rows.unlabelled > 0 && `${counted(rows.unlabelled, "row")} without a label ${rows.unlabelled === 1 ? "does" : "do"} not count.`,
    rows.leftOut > 0 && `${counted(rows.leftOut, "row")} without a text ${rows.leftOut === 1 ? "was" : "were"} left out.`,
    report.is_sample && "A sample with weights: the figures are for all messages that it was drawn from.",
    !report.is_flagged_only && `Calibration ${calibration.reason}.`,
    calibration.advice && `${calibration.advice} (on the service's side).`,
  ].filter(Boolean);
  return html`
    <div class="summary">
      <h2>${counted(report.harmless + report.positive, "text")} ${report.harmless + report.positive === 1 ? "counts" : "count"}: ${count(report.positive)} ${positive}, ${count(report.harmless)} ${harmless}</h2>
      <p class="quiet">
        ${report.model} · ${report.variant} · version <code>${report.version}</code>. Of ${counted(report.texts, "labelled text")}, ${counted(report.copies, "near copy", "near copies")}${" "}
        ${report.copies === 1 ? "does" : "do"} not count again. Figures are for ${percent(report.share, 2)} ${positive}.
      </p>
      ${report.auroc &&
      html`<p>
        A random ${positive} text scores higher than a random ${harmless} one in <${Interval} value=${report.auroc} /> of pairs (AUROC).
      </p>`}
      ${remarks.length > 0 && html`<ul>${remarks.map((remark) => html`<li>${remark}</li>`)}</ul>`}
    </div>
  `;
}

function Flagged({ report }) {
  return html`
    <p class="notice">All texts reach the model's threshold, as in appeals. They show how many alerts are right, but never what was missed.</p>
    <div class="table-scroll" tabindex="0" role="region" aria-labelledby="flagged">
      <table class="promises">
        <caption id="flagged">Share of the alerts that are right</caption>
        <thead><tr><th scope="col">Scores of at least</th><th scope="col">Right</th></tr></thead>
        <tbody>
          ${report.flagged.map(
            ({ threshold, precision }) => html`<tr><th scope="row">${score(threshold)}</th><td><${Interval} value=${precision} /></td></tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/**
 * Evaluate, and report each change of the job: `choice`, `rows` (see `labelledRows`), `source`,
 * `state` (running, done, cancelled, failed), `done` (texts that are scored), `report` (the response),
 * `curves` (held out), `waiting`, `started`, `error`.
 *
 * @returns {() => void} cancels it
 */
function run({ choice, file, wanted, prior }, onChange) {
  const controller = new AbortController();
  const { signal } = controller;
  const source = sourceOf(file.table.name);
  const nothing = { texts: [] };
  let job = { choice, rows: nothing, source, state: "running", done: 0, report: null, curves: null };
  job = { ...job, waiting: null, error: null, started: performance.now() };
  const change = (changes) => {
    job = { ...job, ...changes };
    onChange(job);
  };
  const work = async () => {
    const rows = labelledRows(file.table, file.text, file.label, file.positive);
    change({ rows });
    const report = await evaluate(choice, rows, { source, operating_points: wanted, prior }, {
      signal,
      onScored: (done) => change({ done, waiting: null }),
      onWait: (seconds, { message }) => change({ waiting: { seconds, detail: message } }),
    });
    const curves = report.is_flagged_only ? null : await heldOut(choice, report.share, { signal });
    change({ state: "done", report, curves, waiting: null });
  };
  work().catch((error) =>
    isCancelled(error) ? change({ state: "cancelled", waiting: null }) : change({ state: "failed", waiting: null, error }),
  );
  return () => controller.abort();
}

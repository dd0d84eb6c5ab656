// Messages, pasted or from a file: their scores, decisions, and what made them.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { isCancelled } from "../api.js";
import { classifyAll } from "../batches.js";
import { ModelCard } from "../components/card.js";
import { Problem } from "../components/problem.js";
import { Progress } from "../components/progress.js";
import { Results } from "../components/results.js";
import { NOTHING, Source, textsOf } from "../components/source.js";
import { count, counted } from "../format.js";
import { isOutdated, ownFields, refresh } from "../models.js";

export function Messages({ choice, details }) {
  const [source, setSource] = useState(NOTHING);
  const [job, setJob] = useState(null);
  const [isAsked, setIsAsked] = useState(false); // to score, perhaps before the model is known
  const cancel = useRef(() => {});
  const outcome = useRef(null);
  const texts = useMemo(() => textsOf(source), [source]);
  const isRunning = job?.state === "running";
  useEffect(() => {
    // Where it stands below the messages, as on a phone.
    const { top } = outcome.current.getBoundingClientRect();
    if (isRunning && top > innerHeight / 2) outcome.current.scrollIntoView();
  }, [isRunning]);
  useEffect(() => {
    if (!isAsked || !details) return;
    setIsAsked(false);
    if (texts.length > 0) cancel.current = run({ choice, details, texts, table: source.table }, setJob);
  }, [isAsked, details]);
  const submit = () => setIsAsked(!isRunning);
  return html`
    <div class="intro">
      <h1>Messages</h1>
      <p>Score messages, and see which words made each score.</p>
    </div>
    <div class="columns">
      <div class="card stack">
        <${Source} source=${source} found=${texts.length} onChange=${setSource} onSubmit=${submit} />
        <button type="button" class="button primary wide" disabled=${texts.length === 0 || !details} aria-disabled=${String(isRunning)} onClick=${submit}>
          ${texts.length > 0 ? `Score ${counted(texts.length, "message")}` : "Score"}
        </button>
      </div>
      <section ref=${outcome} class="outcome stack" aria-label="Results">
        ${job ? html`<${Outcome} job=${job} choice=${choice} onCancel=${() => cancel.current()} onAgain=${submit} />` : html`<${Empty} />`}
      </section>
      <${ModelCard} choice=${choice} details=${details} />
    </div>
  `;
}

function Empty() {
  return html`
    <div class="empty">
      <h2>No message scored yet</h2>
      <p>
        Each message gets a score from 0 to 1 and a decision. Marks show the words that raised or lowered the score.
        Messages are sent only to this service, which does not keep them.
      </p>
    </div>
  `;
}

function Outcome({ job, choice, onCancel, onAgain }) {
  const { state, results, texts, waiting, started, error } = job;
  const isOther = state !== "running" && job.choice !== choice;
  return html`
    ${state === "running" &&
    html`<${Progress} done=${job.done} total=${texts.length} started=${started} waiting=${waiting} onCancel=${onCancel} />`}
    <p class="visually-hidden" role="status">${state === "done" ? `Done: ${counted(results.length, "message")}` : ""}</p>
    ${state === "cancelled" &&
    html`<p class="notice" role="status">Cancelled: ${count(results.length)} of ${counted(texts.length, "message")} scored.</p>`}
    <${Problem} error=${error} />
    ${error && results.length > 0 && html`<p class="notice">${count(results.length)} of ${counted(texts.length, "message")} were scored before the error.</p>`}
    ${isOther &&
    html`<p class="notice">
      These are results of another choice: ${job.choice.model}${job.response ? `, ${job.response.variant}` : ""}.
      <button type="button" class="button small" onClick=${onAgain}>Score again</button>
    </p>`}
    ${state !== "running" && results.length > 0 && html`<${Results} job=${job} />`}
  `;
}

/**
 * Score the messages of a job, and report each change of it.
 *
 * A job has `choice`, `labels` and `policies` of the model, `fields` of the requests, `texts`, `table` (that they are from, or
 * null), `state` (running, done, cancelled, failed), `done` (how many), `results` (complete only at
 * the end), `response` (what was the same for all), `waiting`, `started`, `error`.
 *
 * @returns {() => void} cancels it
 */
function run({ choice, details, texts, table }, onChange) {
  const controller = new AbortController();
  const results = [];
  let job = {
    ...{ choice, labels: details.labels, policies: details.policies, texts, table },
    fields: ownFields(choice, details),
    ...{ state: "running", done: 0, results: [], response: null, waiting: null, error: null },
    started: performance.now(),
  };
  const change = (changes) => {
    job = { ...job, ...changes };
    onChange(job);
  };
  const fail = (error) => {
    change({ state: "failed", results, waiting: null, error });
    if (isOutdated(error)) refresh();
  };
  change({});
  classifyAll(choice, texts, job.fields, {
    signal: controller.signal,
    onResults: (done, found, response) => {
      results.push(...found);
      change({ done, response: response ?? job.response, waiting: null });
    },
    onWait: (seconds, { message }) => change({ waiting: { seconds, detail: message } }),
  }).then(
    ({ response }) => {
      change({ state: "done", results, waiting: null });
      if (response && response.version !== details.version) refresh();
    },
    (error) => (isCancelled(error) ? change({ state: "cancelled", results, waiting: null }) : fail(error)),
  );
  return () => controller.abort();
}

// Choose a threshold: what each one does on held-out texts, and what it means for the next messages.
// Everything is computed by the service; this view looks it up.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { getJson, isCancelled, modelPath, pause } from "../api.js";
import { BaseRate } from "../components/threshold/base_rate.js";
import { Curve, selectPoint } from "../components/threshold/curve.js";
import { Evidence } from "../components/threshold/evidence.js";
import { Figures } from "../components/threshold/figures.js";
import { Handles } from "../components/threshold/handles.js";
import { atThreshold } from "../components/threshold/numbers.js";
import { Points } from "../components/threshold/points.js";
import { RequestToCopy } from "../components/threshold/request.js";
import { Problem } from "../components/problem.js";
import { isOutdated, policyOf, refresh } from "../models.js";

const CURVE_DELAY_S = 0.25; // a slider asks for many
const PLAN_DELAY_S = 0.12;
// Figures of two versions do not belong together.
const RELOADED = "The service was reloaded, and has another version of this model now.";
const MAX_OWN = 4; // each is another request for every base rate

export function Threshold({ choice, details, active }) {
  const isFor = details && details.model === choice.model;
  const key = isFor ? keyOf(choice, details) : null;
  const shown = useRef(null);
  if (active) shown.current = key; // nothing is loaded for a view that nobody looks at
  return html`
    <div class="intro">
      <h1>Threshold</h1>
      <p>
        What each threshold does on texts that the model has not learned from, and what that means
        for your next messages.
      </p>
    </div>
    ${!isFor && html`<p class="quiet" role="status">Loading …</p>`}
    ${isFor && details.labels.length > 2 && html`<${WithoutThreshold} details=${details} />`}
    ${isFor &&
    details.labels.length === 2 &&
    shown.current === key &&
    html`<${Planner} key=${key} choice=${choice} details=${details} />`}
  `;
}

const keyOf = (choice, details) =>
  JSON.stringify([details.model, details.variant, details.version, policyOf(choice, details)]);

/** All of the view for one model, variant and policy. */
function Planner({ choice, details }) {
  const policy = policyOf(choice, details);
  const [prior, setPrior] = useState(null); // null: of the policy, or none
  const [found, setFound] = useState(null); // {prior, curve, points}: of one base rate
  const [own, setOwn] = useState([]); // operating points that were added, the last one first
  const [selected, setSelected] = useState(null); // {threshold, logit, point, review}
  const [numbers, setNumbers] = useState({ volume: 10000, minutes: 0.5 });
  const [plan, setPlan] = useState(null);
  const [problem, setProblem] = useState(null);
  const [attempt, setAttempt] = useState(0);
  const latest = useRef(null);
  latest.current = selected;
  const added = useRef(null); // the point to select once the list has it
  const basis = { variant: choice.variant, policy, prior };
  const read = async (part, query, signal) => {
    const response = await getJson(modelPath(details.model, part), { query: { ...basis, ...query }, signal });
    if (response.version !== details.version) throw new Error(RELOADED);
    return response;
  };
  const readPoints = (point, signal) => read("operating-points", { operating_point: point }, signal);
  const add = async (text) => {
    const { operating_point: name, operating_points: points } = await readPoints(text);
    const point = points.find((one) => one.operating_point === name);
    added.current = name;
    setOwn((others) => {
      const isListed = found.points.some((one) => one.operating_point === name);
      return isListed ? [...others] : [name, ...others.filter((one) => one !== name)].slice(0, MAX_OWN);
    });
    return point;
  };

  useEffect(() => {
    const reader = new AbortController();
    const { signal } = reader;
    const load = async () => {
      if (found) await pause(CURVE_DELAY_S, signal);
      const [curve, points, inForce] = await Promise.all([
        read("threshold-curve", {}, signal),
        Promise.all((own.length ? own : [null]).map((point) => readPoints(point, signal))),
        latest.current ? null : read("plan", numbers, signal),
      ]);
      signal.throwIfAborted();
      const next = { prior, curve: trimmed(curve), points: merged(points) };
      const isMoved = found?.prior !== prior;
      const same = inForce ? initial(inForce, next) : isMoved ? moved(latest.current, next) : latest.current;
      const point = next.points.find((one) => one.operating_point === added.current);
      added.current = null;
      setSelected(point?.fitted ? selectPoint(point, same) : same);
      setFound(next);
      setProblem(null);
    };
    load().catch((error) => isCancelled(error) || setProblem(error));
    return () => reader.abort();
  }, [prior, own, attempt]);

  useEffect(() => {
    // While a base rate is loading, the threshold is still one of the last.
    if (!selected || found.prior !== prior) return undefined;
    const reader = new AbortController();
    const { signal } = reader;
    const load = async () => {
      if (plan) await pause(PLAN_DELAY_S, signal);
      const query = { threshold: selected.threshold, review_threshold: selected.review?.threshold };
      setPlan(await read("plan", { ...query, ...numbers }, signal));
      setProblem(null);
    };
    load().catch((error) => isCancelled(error) || setProblem(error));
    return () => reader.abort();
  }, [selected, numbers, found, attempt]);

  const isCurrent = plan && found.prior === prior && matches(plan, selected, numbers);
  if (problem && !found && problem.status === 404) {
    return html`<${WithoutEvidence} details=${details} problem=${problem} />`;
  }
  const positive = details.labels[1];
  const retry = async () => {
    if (problem.status === undefined || isOutdated(problem)) await refresh();
    setAttempt(attempt + 1);
  };
  return html`
    <${Problem} error=${problem} onRetry=${retry} />
    <div class="planner" aria-busy=${String(!isCurrent)}>
      <section class="card base-rate" aria-label="Base rate">
        <${BaseRate} curve=${found?.curve} prior=${prior} onChange=${setPrior} details=${details} positive=${positive} />
      </section>
      <div class="column">
        <section class="card measured" aria-label="Curve">
          <h2>What each threshold does</h2>
          <${Curve} found=${found} selected=${selected} onSelect=${setSelected} />
          <${Handles} found=${found} selected=${selected} onSelect=${setSelected} />
        </section>
        <section class="card promised" aria-label="Operating points">
          <${Points} found=${found} selected=${selected} onSelect=${setSelected} onAdd=${add} />
        </section>
        <section class="card evidence" aria-label="Evidence">
          <${Evidence} curve=${found?.curve} positive=${positive} />
        </section>
      </div>
      <div class="column">
        <section class=${`card predicted ${isCurrent ? "" : "stale"}`} aria-label="Your next messages">
          <${Figures} plan=${plan} isCurrent=${isCurrent} numbers=${numbers} onNumbers=${setNumbers} positive=${positive} />
        </section>
        <section class="card request" aria-label="Request">
          <h2>Use it</h2>
          <${RequestToCopy} choice=${choice} details=${details} policy=${policy} found=${found} selected=${selected} />
        </section>
      </div>
    </div>
  `;
}

/** A curve without its first point if that is far from the others: there, everything is flagged. */
function trimmed(curve) {
  const [first, second] = curve.points;
  const isFar = second && second.logit - first.logit > 1;
  return isFar ? { ...curve, points: curve.points.slice(1) } : curve;
}

/** The points of one response, with those that the others were asked for after its own. */
function merged([first, ...others]) {
  const asked = ({ operating_point: name, operating_points: points }) =>
    points.findIndex((one) => one.operating_point === name);
  const after = asked(first) + 1;
  const more = others.map((one) => one.operating_points[asked(one)]);
  return first.operating_points.toSpliced(after, 0, ...more);
}

/** What is selected at first: the threshold in force, and its operating point if it has one. */
function initial(inForce, { curve, points }) {
  const low = inForce.review_threshold;
  const point = points.find((one) => one.is_default && one.fitted?.threshold === inForce.threshold);
  return {
    threshold: inForce.threshold,
    logit: inForce.logit,
    point: point?.operating_point ?? null,
    review: low === null ? null : { threshold: low, logit: atThreshold(curve.points, low).logit },
  };
}

/** The same selection at another base rate: the same point if it is fitted, else the same texts. */
function moved({ logit, point, review }, { curve, points }) {
  const fitted = point && points.find((one) => one.operating_point === point)?.fitted;
  const { threshold, logit: at } = fitted || nearest(curve.points, logit);
  const low = review && nearest(curve.points, Math.min(review.logit, at));
  return {
    threshold,
    logit: at,
    point: fitted ? point : null,
    review: low && { threshold: Math.min(low.threshold, threshold), logit: low.logit },
  };
}

/** The point of a curve that is nearest to a logit. */
function nearest(points, logit) {
  const distance = (one) => Math.abs(one.logit - logit);
  return points.reduce((best, one) => (distance(one) < distance(best) ? one : best));
}

const matches = (plan, selected, { volume, minutes }) =>
  plan.threshold === selected.threshold &&
  plan.review_threshold === (selected.review?.threshold ?? null) &&
  plan.messages === volume &&
  plan.minutes === minutes;

function WithoutThreshold({ details }) {
  return html`
    <div class="card">
      <h2>This model has no threshold</h2>
      <p>
        ${details.model} chooses the one of ${details.labels.length} labels that has the highest score,
        so there is no curve and no threshold to choose. Its labels: ${details.labels.join(", ")}.
      </p>
    </div>
  `;
}

function WithoutEvidence({ details, problem }) {
  return html`
    <div class="card">
      <h2>There is no curve for this model</h2>
      <p>${problem.message}</p>
      <p>
        Its own threshold is ${details.threshold}. To measure others, label some of your own messages
        and open them under <a href="#traffic">Your traffic</a>, or train the model again.
      </p>
    </div>
  `;
}

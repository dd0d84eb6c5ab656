// The threshold and the lower end of the review band: two handles on one track, and fields.
import { html, useRef, useState } from "../../vendor/htm-preact.js";
import { decimal } from "../../format.js";
import { atThreshold, percentOf, thresholdOf } from "./numbers.js";

const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

/** Where a logit lies between the first and the last point of a curve, 0 to 1. */
export function placeOf(points, logit) {
  const [first, last] = [points[0].logit, points[points.length - 1].logit];
  if (first === last) return 0.5;
  return Math.min(Math.max((logit - first) / (last - first), 0), 1);
}

/** The position of the point that is nearest to a logit. */
function indexAt(points, logit) {
  let best = 0;
  points.forEach((one, at) => {
    if (Math.abs(one.logit - logit) < Math.abs(points[best].logit - logit)) best = at;
  });
  return best;
}

export function Handles({ found, selected, onSelect }) {
  const track = useRef(null);
  if (!found || !selected) return html`<div class="handles waiting"></div>`;
  const { points } = found.curve;
  const { review } = selected;
  const above = indexAt(points, selected.logit);
  const below = review ? indexAt(points, review.logit) : null;

  const setThreshold = (index) => {
    const at = Math.min(Math.max(index, 0), points.length - 1);
    const { threshold, logit } = points[at];
    onSelect({ threshold, logit, point: null, review: review && lower(review, { threshold, logit }) });
  };
  const setReview = (index) => {
    const { threshold, logit } = points[Math.min(Math.max(index, 0), above)];
    onSelect({ ...selected, review: lower({ threshold, logit }, selected) });
  };
  const toggle = (event) => {
    if (!event.target.checked) onSelect({ ...selected, review: null });
    else setReview(Math.max(above - 10, 0));
  };
  const indexOf = (event) => {
    const { left, width } = track.current.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - left) / width, 0), 1);
    const [first, last] = [points[0].logit, points[points.length - 1].logit];
    return indexAt(points, first + share * (last - first));
  };
  const place = (logit) => `${100 * placeOf(points, logit)}%`;
  return html`
    <div class="handles">
      <div class="track" ref=${track} onPointerDown=${(event) => event.target === track.current && setThreshold(indexOf(event))}>
        ${review && html`<span class="band" style=${{ left: place(review.logit), right: `calc(100% - ${place(selected.logit)})` }}></span>`}
        <span class="above" style=${{ left: place(selected.logit) }}></span>
        ${review &&
        html`<${Handle}
          name="review"
          label="Lower end of the review band"
          index=${below}
          last=${above}
          text=${`score ${thresholdOf(review.threshold)}`}
          left=${place(review.logit)}
          onMove=${setReview}
          indexOf=${indexOf}
        />`}
        <${Handle}
          name="threshold"
          label="Threshold"
          index=${above}
          last=${points.length - 1}
          text=${`score ${thresholdOf(selected.threshold)}, recall ${percentOf(points[above].recall.estimate)}`}
          left=${place(selected.logit)}
          onMove=${setThreshold}
          indexOf=${indexOf}
        />
      </div>
      <p class="ends quiet"><span>flags more</span><span>threshold, a score</span><span>flags less</span></p>
      <div class="fields">
        <${ScoreField}
          name="threshold"
          label="Threshold: flagged from this score on"
          value=${selected.threshold}
          onChange=${(threshold) => {
            const { logit } = atThreshold(points, threshold);
            onSelect({ threshold, logit, point: null, review: review && lower(review, { threshold, logit }) });
          }}
        />
        <label class="check">
          <input type="checkbox" name="has-review" checked=${review !== null} onChange=${toggle} />
          <span>Let people review the messages below it, from</span>
        </label>
        <${ScoreField}
          name="review-threshold"
          label="Review: from this score on"
          value=${review?.threshold ?? null}
          highest=${selected.threshold}
          onChange=${(threshold) =>
            onSelect({ ...selected, review: lower({ threshold, logit: atThreshold(points, threshold).logit }, selected) })}
        />
      </div>
    </div>
  `;
}

/** What a field has: six digits, or all of them where these would be 1. */
const entryOf = (score) => (score < 1 && Number(score.toPrecision(6)) === 1 ? score : Number(score.toPrecision(6)));

/** The review band ends at the threshold. */
const lower = (review, { threshold, logit }) =>
  review.threshold <= threshold ? { ...review, logit: Math.min(review.logit, logit) } : { threshold, logit };

function Handle({ name, label, index, last, text, left, onMove, indexOf }) {
  const press = (event) => {
    const target = { Home: 0, End: last }[event.key] ?? index + (STEPS[event.key] ?? NaN);
    if (Number.isNaN(target)) return;
    event.preventDefault();
    onMove(Math.min(target, last));
  };
  return html`
    <div
      role="slider"
      tabindex="0"
      class=${`handle ${name}`}
      data-handle=${name}
      aria-label=${label}
      aria-orientation="horizontal"
      aria-valuemin="0"
      aria-valuemax=${last}
      aria-valuenow=${index}
      aria-valuetext=${text}
      style=${{ left }}
      onKeyDown=${press}
      onPointerDown=${(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        event.currentTarget.focus();
        event.preventDefault();
      }}
      onPointerMove=${(event) =>
        event.currentTarget.hasPointerCapture(event.pointerId) && onMove(Math.min(indexOf(event), last))}
    ></div>
  `;
}

function ScoreField({ name, label, value, highest = 1, onChange }) {
  const [entered, setEntered] = useState(null);
  const isGood = (text) => decimal(text) >= 0 && decimal(text) <= highest;
  const isWrong = entered !== null && !isGood(entered);
  return html`
    <label class="field score">
      <span>${label}</span>
      <input
        type="text"
        inputmode="decimal"
        autocomplete="off"
        name=${name}
        disabled=${value === null}
        aria-invalid=${String(isWrong)}
        title=${isWrong ? `Expected a number from 0 to ${highest === 1 ? 1 : "the threshold"}` : null}
        value=${entered ?? (value === null ? "" : entryOf(value))}
        onInput=${(event) => {
          setEntered(event.target.value);
          if (isGood(event.target.value)) onChange(decimal(event.target.value));
        }}
        onBlur=${() => setEntered(null)}
      />
    </label>
  `;
}

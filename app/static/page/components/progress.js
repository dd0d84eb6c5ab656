// How far a job is.
import { html } from "../vendor/htm-preact.js";
import { count, counted, duration } from "../format.js";

/**
 * @param {object} props
 * @param {number} props.done
 * @param {number} props.total
 * @param {number} props.started a time of performance.now()
 * @param {{seconds: number, detail: string}|null} props.waiting for the service
 * @param {() => void} props.onCancel
 */
export function Progress({ done, total, started, waiting, onCancel }) {
  const elapsed = (performance.now() - started) / 1000;
  const left = done > 0 ? (elapsed / done) * (total - done) : null;
  const reason = waiting?.detail.replace(/ Retry in a moment\.$/, "");
  // Said at every tenth only: a screen reader speaks it.
  const tenth = Math.floor((10 * done) / total) * 10;
  return html`
    <div class="progress">
      <progress max=${total} value=${done} aria-label="Messages scored"></progress>
      <div class="progress-line">
        <span>${count(done)} of ${counted(total, "message")}${left !== null && elapsed > 1 && ` · ${duration(left)} left`}</span>
        <button type="button" class="button small" onClick=${onCancel}>Cancel</button>
      </div>
      ${waiting && html`<p class="waiting">${reason} Going on in ${duration(waiting.seconds)} …</p>`}
      <p class="visually-hidden" role="status">${waiting ? reason : `${tenth} percent`}</p>
    </div>
  `;
}

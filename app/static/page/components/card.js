// What a model is for and not for, from its card.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { getText, isCancelled, modelPath } from "../api.js";
import { Blocks, sections } from "../markdown.js";
import { Problem } from "./problem.js";

const SHOWN = /^what (it is|to do)/i;

/** The first sections of the card, and the whole of it in a dialog. */
export function ModelCard({ choice, details }) {
  const [card, setCard] = useState(null); // null while it is loading, "" if there is none
  const [error, setError] = useState(null);
  const dialog = useRef(null);
  const { model, variant } = choice;
  useEffect(() => {
    const reader = new AbortController();
    setCard(null);
    setError(null);
    getText(modelPath(model, "card"), { query: { variant }, signal: reader.signal }).then(setCard, (reason) => {
      if (isCancelled(reason)) return;
      if (reason.status === 404) setCard("");
      else setError(reason);
    });
    return () => reader.abort();
  }, [model, variant]);
  const found = card ? sections(card) : [];
  const shown = found.filter(({ title }) => SHOWN.test(title));
  return html`
    <aside class="card about" aria-labelledby="about-title">
      <h2 id="about-title">About <em>${model}</em></h2>
      ${details && html`<p class="quiet">${labelsOf(details)} Version <code>${details.version}</code>.</p>`}
      <${Problem} error=${error} />
      ${card === null && !error && html`<p class="quiet" role="status">Loading the model card …</p>`}
      ${card === "" && html`<p class="quiet">This model has no model card.</p>`}
      ${shown.map(
        ({ title, lines }) => html`
          <section key=${title}>
            <h3>${title}</h3>
            <${Blocks} lines=${lines} />
          </section>
        `,
      )}
      ${card &&
      html`
        <button type="button" class="button small" onClick=${() => dialog.current.showModal()}>Read the whole card</button>
        <dialog ref=${dialog} class="dialog wide" aria-label=${`Model card of ${model}`}>
          <div class="document" tabindex="0" role="group" aria-label="The card">
            ${found.map(
              ({ title, level, lines }, at) => html`
                ${title && (level === 1 ? html`<h2 key=${at}>${title}</h2>` : html`<h3 key=${at}>${title}</h3>`)}
                <${Blocks} lines=${lines} />
              `,
            )}
          </div>
          <div class="actions">
            <button type="button" class="button" onClick=${() => dialog.current.close()}>Close</button>
          </div>
        </dialog>
      `}
    </aside>
  `;
}

function labelsOf({ labels }) {
  if (labels.length > 2) return `One of ${labels.length} labels: ${labels.join(", ")}.`;
  return `Decides between ${labels[1]} and ${labels[0]}.`;
}

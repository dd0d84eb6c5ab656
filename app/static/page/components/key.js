// Asks for an API key, which stays in memory.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { answerKey, set, useShared } from "../state.js";

// What a header can have of it (RFC 6750): not the quotation marks of a word processor, for example.
const KEY = /^[!-~]+$/;

/** A dialog, open while a request waits for a key. */
export function KeyDialog() {
  const { asking, key } = useShared();
  const dialog = useRef(null);
  const isAnswered = useRef(false); // when it closes: not by the Escape key
  const [entered, setEntered] = useState("");
  useEffect(() => {
    const { current } = dialog;
    if (asking && !current.open) current.showModal();
    if (!asking && current.open) {
      isAnswered.current = true;
      current.close();
    }
  }, [asking]);
  // The event comes later than `close()`: by then, the next request may wait for a key.
  const closed = () => {
    if (!isAnswered.current) answerKey("");
    isAnswered.current = false;
  };
  const isWrong = entered.trim() !== "" && !KEY.test(entered.trim());
  const submit = (event) => {
    event.preventDefault();
    const given = entered.trim();
    if (!KEY.test(given)) return;
    setEntered("");
    answerKey(given);
  };
  return html`
    <dialog ref=${dialog} class="dialog" aria-labelledby="key-title" onClose=${closed}>
      <form onSubmit=${submit} autocomplete="off">
        <h2 id="key-title">${key ? "Another API key is needed" : "This service needs an API key"}</h2>
        <p role="status">${asking?.detail}</p>
        <label class="field">
          <span>API key</span>
          <input
            type="password"
            name="key"
            autocomplete="off"
            spellcheck=${false}
            aria-invalid=${String(isWrong)}
            aria-describedby=${isWrong ? "key-wrong" : null}
            value=${entered}
            onInput=${(event) => setEntered(event.target.value)}
          />
        </label>
        ${isWrong && html`<p class="wrong" id="key-wrong" role="alert">A key has letters, digits and ASCII signs only: no spaces, accents or typographic quotation marks.</p>`}
        <p class="quiet">The key stays in memory until you close this page, and is stored nowhere.</p>
        <div class="actions">
          <button type="submit" class="button primary" disabled=${!KEY.test(entered.trim())}>Use this key</button>
          <button type="button" class="button" onClick=${() => answerKey("")}>Cancel</button>
        </div>
      </form>
    </dialog>
  `;
}

/** Lets the user forget the key; nothing where there is none. */
export function KeyStatus() {
  const { key } = useShared();
  if (!key) return null;
  return html`<button type="button" class="button small" onClick=${() => set({ key: "" })}>Forget the API key</button>`;
}

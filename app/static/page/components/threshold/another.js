// A field for an operating point that is not in the list.
import { html, useState } from "../../vendor/htm-preact.js";
import { isCancelled } from "../../api.js";

const EXAMPLES = ["precision>=0.8", "recall>=0.95", "fpr<=0.002", "rate<=0.05", "fpr<=0.01,recall>=0.9", "cost(fp=1,fn=10)", "f1"];

/**
 * @param {object} props
 * @param {(text: string) => Promise<object>} props.onAdd adds a point to the list; returns it, fitted
 *   or infeasible, or throws an ApiError
 */
export function AnotherPoint({ onAdd }) {
  const [text, setText] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const [outcome, setOutcome] = useState(null); // {point} or {error}
  const add = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    setIsBusy(true);
    setOutcome(null);
    try {
      setOutcome({ point: await onAdd(text.trim()) });
    } catch (error) {
      if (!isCancelled(error)) setOutcome({ error });
    } finally {
      setIsBusy(false);
    }
  };
  const enter = (event) => {
    setText(event.target.value);
    setOutcome(null);
  };
  const error = outcome?.error;
  const isWrong = error?.status === 422;
  return html`
    <form class="another" onSubmit=${add}>
      <label class="field">
        <span>Another operating point</span>
        <input
          type="text"
          name="operating-point"
          list="operating-point-examples"
          placeholder=${`such as ${EXAMPLES[0]}`}
          autocomplete="off"
          autocapitalize="none"
          spellcheck=${false}
          aria-invalid=${String(isWrong)}
          aria-describedby=${error ? "operating-point-wrong" : null}
          value=${text}
          onInput=${enter}
        />
      </label>
      <datalist id="operating-point-examples">
        ${EXAMPLES.map((example) => html`<option value=${example}></option>`)}
      </datalist>
      <button type="submit" class="button" aria-disabled=${String(isBusy)}>Add</button>
      ${error && html`<p class="wrong" id="operating-point-wrong" role="alert">${error.errors?.[0]?.detail ?? error.message}</p>`}
      <p class="quiet" role="status">${isBusy ? "Fitting …" : outcome?.point ? resultOf(outcome.point) : ""}</p>
    </form>
  `;
}

const resultOf = ({ operating_point: point, fitted, infeasible }) =>
  fitted ? `${point} is selected.` : infeasible.detail;

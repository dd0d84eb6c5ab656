// A message of any length: of a long one the beginning, until all of it is wanted.
import { html, useState } from "../vendor/htm-preact.js";
import { count } from "../format.js";

const LONG = 1500; // characters
const LINES = 20;

/** @param {{text: string, children: any}} props what shows the text */
export function Folded({ text, children }) {
  const [isOpen, setIsOpen] = useState(false);
  if (text.length <= LONG && text.split("\n", LINES + 1).length <= LINES) return children;
  return html`
    <div class=${isOpen ? "" : "folded"}>${children}</div>
    <button type="button" class="button small" aria-expanded=${String(isOpen)} onClick=${() => setIsOpen(!isOpen)}>
      ${isOpen ? "Show less" : `Show all ${count(text.length)} characters`}
    </button>
  `;
}

import { html } from "../vendor/htm-preact.js";

export function Compare({ choice, details, active }) {
  return html`<h1>Compare</h1>`;
}

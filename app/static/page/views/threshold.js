import { html } from "../vendor/htm-preact.js";

export function Threshold({ choice, details, active }) {
  return html`<h1>Threshold</h1>`;
}

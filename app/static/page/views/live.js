import { html } from "../vendor/htm-preact.js";

export function Live({ choice, details, active }) {
  return html`<h1>Live</h1>`;
}

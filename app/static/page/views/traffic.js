import { html } from "../vendor/htm-preact.js";

export function Traffic({ choice, details, active }) {
  return html`<h1>Traffic</h1>`;
}

import { html } from "../vendor/htm-preact.js";

export function Messages({ choice, details, active }) {
  return html`<h1>Messages</h1>`;
}

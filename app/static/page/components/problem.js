// An error, for people.
import { html } from "../vendor/htm-preact.js";

const TITLES = {
  0: "No connection",
  400: "The service could not read the request",
  401: "An API key is needed",
  403: "This API key is not sufficient",
  404: "Not found",
  413: "Too large",
  422: "The service refused the request",
  429: "The service is busy",
  500: "The service failed",
  503: "The service is not ready",
  504: "The service took too long",
};

/**
 * Show an error: an ApiError, or any other one; nothing without one.
 *
 * @param {{error: Error|null, onRetry?: () => void}} props
 */
export function Problem({ error, onRetry }) {
  if (!error) return null;
  const title = TITLES[error.status] ?? (error.title || "This did not work");
  return html`
    <div class="problem" role="alert">
      <strong>${title}</strong>
      <p>${error.message}</p>
      ${error.errors?.length > 0 &&
      html`<ul>
        ${error.errors.map(({ pointer, detail }) => html`<li>${where(pointer)}${detail}</li>`)}
      </ul>`}
      ${error.errors?.some(({ pointer }) => pointer === "#/policy") &&
      html`<p>Choose another policy at the top of the page, or “Model's own threshold”.</p>`}
      ${error.requestId && html`<p class="quiet">Request <code>${error.requestId}</code></p>`}
      ${onRetry && html`<button type="button" class="button" onClick=${onRetry}>Try again</button>`}
    </div>
  `;
}

/** "#/texts/3" → "Text 4: " */
function where(pointer = "") {
  const [, text] = /^#\/texts\/(\d+)$/.exec(pointer) ?? [];
  if (text) return `Text ${Number(text) + 1}: `;
  const name = pointer.replace(/^#\/?/, "");
  return name ? `${name}: ` : "";
}

// Any number of texts, classified in requests that keep to the service's limits.
import { ApiError, classify } from "./api.js";
import { get as state } from "./state.js";

const BATCH = 1024; // texts: small enough for smooth progress, large enough for speed
const SPARE_BYTES = 512; // of a body, for everything but the texts
const encoder = new TextEncoder();

/**
 * Classify texts, one request after another.
 *
 * @param {{model: string, variant: string|null, policy: string|null}} choice
 * @param {string[]} texts
 * @param {object} fields others of the request: threshold, operating_point, prior, explain …;
 *   without a threshold and an operating point, the policy of `choice` decides
 * @param {object} options
 * @param {AbortSignal} [options.signal]
 * @param {(done: number, results: object[], response: object) => void} [options.onResults] after
 *   each request: how many texts are done, the results of these, and the rest of the response
 * @param {(seconds: number, error: ApiError) => void} [options.onWait] see `send` in api.js
 * @returns {Promise<{results: object[], response: object|null}>} a result for each text, in order;
 *   that of a text which the service refuses is {error: {detail}}. `response` has the other members
 *   of the last response: threshold, variant, version …
 * @throws {ApiError}, or an AbortError once the signal has fired
 */
export async function classifyAll(choice, texts, fields = {}, options = {}) {
  const { signal, onResults, onWait } = options;
  const body = { ...fields, on_error: "report" };
  const decides = ["threshold", "operating_point", "policy"].some((name) => body[name] != null);
  if (!decides && choice.policy) body.policy = choice.policy;
  const limits = currentLimits(Boolean(fields.explain));
  const results = [];
  let last = null;
  let most = Infinity; // texts of a request: halved where one was too large all the same
  for (let start = 0; start < texts.length; ) {
    const end = Math.min(start + most, batchEnd(texts, start, limits));
    try {
      const { results: found, ...response } = await classify(
        choice,
        { ...body, texts: texts.slice(start, end) },
        { signal, onWait },
      );
      results.push(...found);
      last = response;
      start = end;
      onResults?.(start, found, response);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      if (end - start > 1) {
        most = Math.ceil((end - start) / 2);
        continue;
      }
      results.push({ error: { detail: error.errors[0]?.detail ?? error.message } });
      start = end;
      onResults?.(start, results.slice(-1), last);
    }
  }
  return { results, response: last };
}

/** The limits on one request. */
export function currentLimits(isExplained = false) {
  const known = state().service?.limits;
  const limits = {
    texts: Math.min(BATCH, known?.texts ?? BATCH),
    chars: known?.request_chars ?? 1e6,
    bytes: (known?.body_bytes ?? 1e6) - SPARE_BYTES,
  };
  if (!isExplained) return limits;
  return {
    ...limits,
    texts: Math.min(limits.texts, known?.explained_texts ?? 32),
    chars: Math.min(limits.chars, known?.explained_chars ?? 1e5),
  };
}

/** Where a batch ends that starts at a text; it has at least one. */
export function batchEnd(texts, start, limits) {
  let end = start;
  let chars = 0;
  let bytes = 0;
  while (end < texts.length && end - start < limits.texts) {
    chars += texts[end].length;
    bytes += encoder.encode(JSON.stringify(texts[end])).length + 1;
    if (end > start && (chars > limits.chars || bytes > limits.bytes)) break;
    end += 1;
  }
  return end;
}

/** Whether fewer texts may pass: the body is too large, or all of its texts together are. */
export function isTooLarge(error) {
  if (!(error instanceof ApiError)) return false;
  if (error.status === 413) return true;
  return error.status === 422 && error.errors.some(({ pointer }) => /^#\/(texts|explain)\b/.test(pointer));
}

// Requests to the service, at addresses relative to the page: a proxy may have put it anywhere.
import { askForKey, get as state } from "./state.js";

const LONGEST_WAIT_S = 60; // for one Retry-After
const MAX_WAITS = 30; // in a row, of one request
const MAX_LOST = 7; // connections, in a row

/** An error response (RFC 9457), or why there was none. Its message is for people. */
export class ApiError extends Error {
  /**
   * @param {object} problem the body of the response
   * @param {number} status 0 if the service could not be reached
   * @param {number|null} retryAfter seconds
   */
  constructor(problem, status, retryAfter = null) {
    super(problem.detail ?? problem.title ?? `The service responded with status ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.title = problem.title ?? "";
    this.errors = problem.errors ?? []; // [{pointer, detail}], with 422
    this.problem = problem; // other members, such as best and texts_needed
    this.requestId = problem.request_id ?? "";
    this.retryAfter = retryAfter;
  }
}

/** Whether an error only says that the user has cancelled. */
export const isCancelled = (error) => error?.name === "AbortError";

/**
 * Send a request; asks for an API key if one is needed, and waits where the service says so
 * (429 and 503 with Retry-After) or the connection was lost.
 *
 * @param {string} path relative, such as "models/spam"
 * @param {object} options
 * @param {object} [options.query] parameters; those that are null or undefined are left out
 * @param {object|string} [options.json] body of a POST: an object, or the JSON of one
 * @param {AbortSignal} [options.signal]
 * @param {(seconds: number, error: ApiError) => void} [options.onWait] before each wait
 * @returns {Promise<Response>} a response with a status below 400
 * @throws {ApiError}, or an AbortError once the signal has fired
 */
export async function send(path, { query = {}, json, signal, onWait } = {}) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  for (let waits = 0, lost = 0; ; waits += 1) {
    let error;
    try {
      const response = await fetchOnce(url, json, signal);
      if (response.ok) return response;
      error = await readProblem(response);
      lost = 0;
    } catch (reason) {
      if (isCancelled(reason)) throw reason;
      error = new ApiError({ detail: "The service cannot be reached." }, 0);
      lost += 1;
    }
    if (error.status === 401) {
      if (!(await askForKey(error.message))) throw error;
      waits = -1;
      continue;
    }
    const isLost = error.status === 0 && lost < MAX_LOST;
    const seconds = isLost ? lost : error.retryAfter;
    const mayWait = isLost || ([429, 503].includes(error.status) && waits < MAX_WAITS);
    if (seconds === null || !mayWait || seconds > LONGEST_WAIT_S) throw error;
    onWait?.(seconds, error);
    await pause(seconds, signal);
  }
}

/** GET a JSON resource; options as of `send`. */
export async function getJson(path, options = {}) {
  return (await send(path, options)).json();
}

/** GET a text resource, such as "metrics"; options as of `send`. */
export async function getText(path, options = {}) {
  return (await send(path, options)).text();
}

/** The path of a model's resources: `modelPath("spam", "threshold-curve")`. */
export const modelPath = (model, ...parts) =>
  ["models", model, ...parts].map(encodeURIComponent).join("/");

/**
 * POST to /classify/{model}: one request.
 *
 * @param {{model: string, variant: string|null}} choice
 * @param {object} body with `texts`, and threshold, policy, operating_point, prior, explain …
 * @param {object} options signal and onWait, as of `send`
 */
export async function classify(choice, body, options = {}) {
  const path = `classify/${encodeURIComponent(choice.model)}`;
  const json = { ...body, texts: body.texts.map(wellFormed) };
  return (await send(path, { ...options, query: { variant: choice.variant }, json })).json();
}

async function fetchOnce(url, json, signal) {
  const headers = { Accept: "application/json, text/plain;q=0.9, */*;q=0.1" };
  const { key } = state();
  if (key) headers.Authorization = `Bearer ${key}`;
  const options = { headers, signal, cache: "no-store", credentials: "same-origin" };
  if (json === undefined) return fetch(url, options);
  headers["Content-Type"] = "application/json";
  const body = typeof json === "string" ? json : JSON.stringify(json);
  return fetch(url, { ...options, method: "POST", body });
}

async function readProblem(response) {
  const header = response.headers.get("Retry-After");
  const seconds = header === null || header === "" ? NaN : Number(header);
  const retryAfter = Number.isFinite(seconds) ? Math.max(seconds, 0.1) : null;
  let problem;
  try {
    problem = await response.json();
  } catch {
    problem = null; // from a proxy, say
  }
  const fallback = { title: response.statusText };
  return new ApiError(problem && typeof problem === "object" ? problem : fallback, response.status, retryAfter);
}

/** Wait; throws an AbortError once the signal fires. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const fail = () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", fail);
      resolve();
    }, 1000 * seconds);
    if (signal?.aborted) fail();
    else signal?.addEventListener("abort", fail, { once: true });
  });
}

/** Replace each half of a surrogate pair: it is no character, and UTF-8 has none for it. */
const wellFormed = (text) =>
  typeof text === "string" ? text.replace(/\p{Surrogate}/gu, "\ufffd") : text;

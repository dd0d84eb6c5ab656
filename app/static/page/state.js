// What the views share. Nothing of it is stored: the API key and all texts end with the page.
import { useEffect, useReducer } from "./vendor/htm-preact.js";

let state = {
  service: null, // GET / of the service: its version and limits
  models: [], // of GET /models
  // variant and policy: null for the default; isOwn: no policy, not even the default one
  choice: { model: null, variant: null, policy: null, isOwn: false },
  details: null, // GET /models/{model} of the choice; null while it is loading
  key: "", // the API key, if one was needed
  asking: null, // {detail, resolve}: somebody waits for a key
  problem: null, // why the models could not be read
  missing: null, // a sentence about what the address names, if it is not served
};
const listeners = new Set();

/** The current state; never change it but by `set`. */
export const get = () => state;

/** Merge changes into the state, and render what uses it. */
export function set(changes) {
  state = { ...state, ...changes };
  listeners.forEach((listener) => listener());
}

/** The state, for a component: it renders again at each change. */
export function useShared() {
  const [, update] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    listeners.add(update);
    update();
    return () => listeners.delete(update);
  }, []);
  return state;
}

/** Ask the user for an API key; resolves to it, or to "" if there is none. */
export function askForKey(detail) {
  const { asking } = state;
  if (asking) return asking.promise; // several requests wait for one key
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  set({ asking: { detail, promise, resolve } });
  return promise;
}

/** What the user has entered: a key, or "" to go without. */
export function answerKey(key) {
  const { asking } = state;
  set({ asking: null, key: key || state.key });
  asking?.resolve(key);
}

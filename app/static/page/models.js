// Reads the models, and follows what is chosen.
import { readHash } from "./address.js";
import { getJson, isCancelled, modelPath } from "./api.js";
import { get, set } from "./state.js";

const FIRST = { variant: null, policy: null, isOwn: false };

let reading = null; // cancels the reading of details that nobody waits for any more

/** Read what is served, and choose what was chosen before, or what the address names, or the first model. */
export async function start() {
  set({ problem: null });
  try {
    const service = await getJson("./");
    const { models } = await getJson("models");
    const { choice } = get();
    set({ service, models });
    if (models.length > 0) await chooseNamed(choice.model === null ? readHash(location.hash).choice : choice);
  } catch (problem) {
    set({ problem });
  }
}

/** Read again what is served: a response has shown that the service was reloaded since. */
export async function refresh() {
  try {
    const { models } = await getJson("models");
    set({ models });
    if (models.length > 0) await chooseNamed(get().choice, true);
  } catch (problem) {
    set({ problem });
  }
}

/** Whether an error may be due to a reload: a model, a variant or a policy is not served any more. */
export const isOutdated = (error) => error.status === 404 || Boolean(error.errors?.some(({ pointer }) => pointer === "#/policy"));

/** The loaded variants of a model, the served one first. */
export const variantsOf = ({ variant, variants = [] }) => [...new Set([variant, ...variants])];

/** The policy that decides; null for the model's own threshold. */
export const policyOf = (choice, details) => (choice.isOwn ? null : choice.policy ?? details?.default_policy ?? null);

/** The fields of a request for the model's own threshold where a policy would decide by default. */
export const ownFields = (choice, details) => (choice.isOwn ? { threshold: details.threshold } : {});

/** Choose a model, with all that is its default. */
export const chooseModel = (model) => choose({ model, ...FIRST });

/**
 * Choose what an address names, or what was chosen before the service was reloaded. What is not
 * served is left out, and `missing` of the state says so.
 */
export async function chooseNamed({ model, variant, policy, isOwn }, isAgain = false) {
  const { models, choice: before } = get();
  const known = models.find((one) => one.model === model);
  if (!known) {
    const [{ model: first }] = models;
    return choose({ model: first, ...FIRST }, { missing: model && `There is no model “${model}” here. This is ${first} instead.` });
  }
  const isLoaded = !variant || variantsOf(known).includes(variant);
  const choice = isLoaded ? { model, variant: variant === known.variant ? null : variant, policy, isOwn } : { model, ...FIRST };
  const isSame = Object.entries(choice).every(([name, value]) => before[name] === value);
  if (isSame && !isAgain && get().details) return undefined;
  const missing = isLoaded ? null : `${model} has no variant “${variant}” here. This is the served one instead.`;
  return choose(isSame ? before : choice, { isAgain, missing, isNamed: true });
}

/**
 * Choose a model, a variant (null for the served one), and a policy (null for the default) or none.
 *
 * @param {object} choice
 * @param {object} options
 * @param {boolean} [options.isAgain] whether its details are read again even if they are known
 * @param {string|null} [options.missing] see state.js
 * @param {boolean} [options.isNamed] whether the policy is one of an address, and not of the list
 */
export async function choose(choice, { isAgain = false, missing = null, isNamed = false } = {}) {
  reading?.abort();
  const reader = new AbortController();
  reading = reader;
  const { choice: before } = get();
  const isSame = before.model === choice.model && before.variant === choice.variant && get().details;
  set({ choice, details: isSame ? get().details : null, problem: null, missing });
  if (isSame && !isAgain && !isNamed) return;
  try {
    const query = { variant: choice.variant };
    const details = await getJson(modelPath(choice.model), { query, signal: reader.signal });
    const { choice: current } = get(); // another policy may have been chosen since
    const hasPolicy = details.policies.some(({ name }) => name === current.policy);
    const isLost = current.policy !== null && !hasPolicy;
    set({ details, choice: isLost ? { ...current, policy: null } : current });
    if (isLost && isNamed) set({ missing: `${choice.model} has no policy “${current.policy}” here. This is its default instead.` });
  } catch (problem) {
    if (!isCancelled(problem)) set({ problem });
  }
}

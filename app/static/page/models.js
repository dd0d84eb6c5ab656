// Reads the models, and follows what is chosen.
import { getJson, isCancelled, modelPath } from "./api.js";
import { get, set } from "./state.js";

const FIRST = { variant: null, policy: null, isOwn: false };

let reading = null; // cancels the reading of details that nobody waits for any more

/** Read what is served, and choose the first model. */
export async function start() {
  set({ problem: null });
  try {
    const service = await getJson("./");
    const { models } = await getJson("models");
    set({ service, models });
    if (models.length > 0) await chooseModel(models[0].model);
  } catch (problem) {
    set({ problem });
  }
}

/** The policy that decides; null for the model's own threshold. */
export const policyOf = (choice, details) => (choice.isOwn ? null : choice.policy ?? details?.default_policy ?? null);

/** The fields of a request for the model's own threshold where a policy would decide by default. */
export const ownFields = (choice, details) => (choice.isOwn ? { threshold: details.threshold } : {});

/** Choose a model, with all that is its default. */
export const chooseModel = (model) => choose({ model, ...FIRST });

/** Choose a model, a variant (null for the served one), and a policy (null for the default) or none. */
export async function choose(choice) {
  reading?.abort();
  const reader = new AbortController();
  reading = reader;
  const { choice: before } = get();
  const isSame = before.model === choice.model && before.variant === choice.variant && get().details;
  set({ choice, details: isSame ? get().details : null, problem: null });
  if (isSame) return;
  try {
    const query = { variant: choice.variant };
    const details = await getJson(modelPath(choice.model), { query, signal: reader.signal });
    const { choice: current } = get(); // another policy may have been chosen since
    const hasPolicy = details.policies.some(({ name }) => name === current.policy);
    set({ details, choice: hasPolicy || !current.policy ? current : { ...current, policy: null } });
  } catch (problem) {
    if (!isCancelled(problem)) set({ problem });
  }
}

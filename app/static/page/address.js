// The part of the address after "#": the view, and what is chosen for all views, so that a reload or
// a link to the page leads to the same. It never has a text or a key.

/**
 * "#threshold?model=spam&variant=dice" → {view: "threshold", choice}; a choice is that of state.js,
 * with null for what is not named. `policy=` without a name is the model's own threshold.
 */
export function readHash(hash) {
  const [view, query = ""] = hash.slice(1).split("?");
  const named = new URLSearchParams(query);
  const policy = named.get("policy");
  const choice = { model: named.get("model"), variant: named.get("variant"), policy: policy || null, isOwn: policy === "" };
  return { view, choice };
}

/** The reverse of `readHash`. */
export function hashOf(view, { model, variant, policy, isOwn }) {
  const named = new URLSearchParams();
  if (model) named.set("model", model);
  if (variant) named.set("variant", variant);
  if (policy || isOwn) named.set("policy", policy ?? "");
  return `#${view}${model ? `?${named}` : ""}`;
}

// Operating points in words.
const QUANTITIES = {
  fpr: ["false alarms", "of the harmless texts"],
  recall: ["caught", "of the positive texts"],
  precision: ["right", "of the alerts"],
  rate: ["flagged", "of all texts"],
};
const CRITERIA = {
  macro_f1: "Best balance of both labels (macro-F1)",
  f1: "Best F1 of the positive label",
};

/** "fpr<=0.01" → "at most 1 % false alarms, of the harmless texts" */
export function inWords(point) {
  const constraints = point.split(",").map((part) => /^(\w+)(<=|>=)([\d.e-]+)(?:\[(.+)\])?$/.exec(part.trim()));
  if (constraints.some((found) => !found || !QUANTITIES[found[1]])) return CRITERIA[point] ?? "";
  return constraints
    .map(([, name, sign, bound, source]) => {
      const [what, of] = QUANTITIES[name];
      const where = source ? `${of.replace(/^of (the|all)/, "of")} in ${source}` : of;
      return `${sign === "<=" ? "at most" : "at least"} ${Number((100 * bound).toPrecision(6))} % ${what}, ${where}`;
    })
    .join("; ");
}

// Numbers as people read them.

const whole = new Intl.NumberFormat("en");

/** 12345 → "12,345" */
export const count = (value) => whole.format(Math.round(value));

/** (3, "message") → "3 messages" */
export const counted = (value, noun, nouns = `${noun}s`) =>
  `${count(value)} ${value === 1 ? noun : nouns}`;

/** What people enter: "0.5" or "0,5" → 0.5, "" → NaN */
export const decimal = (text) => (text.trim() ? Number(text.replace(",", ".")) : NaN);

/** A percentage that people enter, as a share: "0.7" → 0.007, without what division adds to the digits. */
export const shareOf = (text) => Number((decimal(text) / 100).toPrecision(12));

/** A number that people enter, as by `decimal`, where "1,440" has thousands. */
export const amountOf = (text) =>
  /^\s*[1-9]\d{0,2}(,\d{3})+(\.\d*)?\s*$/.test(text) ? Number(text.replaceAll(",", "")) : decimal(text);

/** 0.5 → "0.500"; never 0 or 1 unless it is */
export function score(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.0005) return "<0.001";
  if (value < 1 && value >= 0.9995) return ">0.999";
  return value.toFixed(3);
}

/** A score; "<0.874" below a threshold that is shown as 0.874, where rounding would show the same. */
export function scoreNextTo(value, threshold) {
  const shown = score(value);
  const isHidden = value < threshold && shown === score(threshold) && /^\d/.test(shown);
  return isHidden ? `<${shown}` : shown;
}

/** 0.0123 → "1.2 %"; null → "–" */
export function percent(value, digits = 1) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return `${(100 * value).toFixed(digits)} %`;
}

/** 1.5 → "+1.50", -1.5 → "−1.50" (a minus sign, not a hyphen) */
export const signed = (value, digits = 2) =>
  `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

/** 75 → "1 min 15 s" */
export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  const rounded = Math.round(seconds);
  if (rounded < 60) return `${rounded} s`;
  const minutes = Math.floor(rounded / 60);
  if (minutes < 60) return `${minutes} min ${rounded % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** 2048 → "2.0 kB" */
export function bytes(value) {
  if (value < 1000) return `${value} bytes`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return `${(value / 1e6).toFixed(1)} MB`;
}

// A labelled CSV file: which column has the texts, which the labels, and what they mean.
import { guessTextColumn, sizeOf } from "../csv.js";
import { count, counted } from "../format.js";
import { guessLabelColumn, guessPositive, hasTooMany, valuesOf } from "../labelled.js";
import { html, useMemo } from "../vendor/htm-preact.js";
import { Select } from "./chooser.js";
import { CsvFile, leaving } from "./csvfile.js";

const LISTED = 6;

/** What a file is read as: `{table, text, label, positive}`, the first two columns by their index. */
function guess(table, labels) {
  const text = guessTextColumn(table);
  const label = guessLabelColumn(table, text, labels);
  return { table, text, label, positive: guessPositive(valuesOf(table, label), labels) };
}

/**
 * @param {object} props
 * @param {object|null} props.file see `guess`
 * @param {string[]} props.labels of the model
 * @param {(file: object|null) => void} props.onChange
 */
export function LabelledFile({ file, labels, onChange }) {
  return html`
    <${CsvFile}
      class="dropzone"
      label=${file ? "Choose another file" : "Choose a labelled CSV file"}
      onTable=${(table) => onChange(guess(table, labels))}
    >
      ${file
        ? html`<${Columns} file=${file} labels=${labels} onChange=${onChange} />`
        : html`<p>A CSV file with a column of texts and a column of labels, given by people who did not see the scores. The model must not have learned from these texts, or every figure is too good.</p>`}
    <//>
  `;
}

function Columns({ file, labels, onChange }) {
  const { table, text, label, positive } = file;
  const values = useMemo(() => valuesOf(table, label), [table, label]);
  const options = table.columns.map((name, at) => [String(at), name]);
  const chooseLabel = (value) => {
    const at = Number(value);
    onChange({ ...file, label: at, positive: guessPositive(valuesOf(table, at), labels) });
  };
  const others = values.filter(([value]) => value !== positive);
  return html`
    <div class="file">
      <strong>${table.name}</strong>
      <span class="quiet">${sizeOf(table)}</span>
      <button type="button" class="button small" onClick=${leaving(() => onChange(null))}>Remove</button>
    </div>
    <div class="choices">
      <${Select} label="Column with the texts" name="text-column" value=${String(text)} options=${options}
        onChange=${(value) => onChange({ ...file, text: Number(value) })} />
      <${Select} label="Column with the labels" name="label-column" value=${String(label)} options=${options} onChange=${chooseLabel} />
      ${values.length > 0 &&
      !hasTooMany(values) &&
      html`<${Select} label=${`Label that means ${labels[1]}`} name="positive" value=${positive}
        options=${values.map(([value, number]) => [value, `${value} (${counted(number, "row")})`])}
        onChange=${(value) => onChange({ ...file, positive: value })} />`}
    </div>
    <p class="quiet" role="status">
      ${values.length === 0
        ? "This column has no labels."
        : hasTooMany(values)
          ? `This column has ${count(values.length)} different values, so they are not labels. Choose another one.`
          : `“${positive}” counts as ${labels[1]}; ${others.length ? listed(others) : "nothing else"} as ${labels[0]}. Rows without a label do not count.`}
    </p>
  `;
}

function listed(values) {
  const names = values.slice(0, LISTED).map(([value]) => `“${value.slice(0, 40)}”`);
  return `${names.join(", ")}${values.length > LISTED ? ` and ${values.length - LISTED} others` : ""}`;
}

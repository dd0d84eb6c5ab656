// Where the messages come from: pasted, or a column of a CSV file.
import { html } from "../vendor/htm-preact.js";
import { guessTextColumn, sizeOf } from "../csv.js";
import { counted } from "../format.js";
import { hasBlankLine, hasBlocks, splitMessages } from "../texts.js";
import { Select } from "./chooser.js";
import { CsvFile, leaving } from "./csvfile.js";

const EXAMPLES = [
  "Congratulations! You have won a £500 gift card. To claim your prize call 09061 743 811 now",
  "Are we still on for lunch at 12? 😊",
  "URGENT: your parcel is held. Pay the fee of £1.99 at http://parcel-fee.example/pay",
  "Reminder: your dentist appointment is on Tuesday at 9:40. Reply C to confirm.",
  "What a stupid idea, but thanks for trying",
  "😂😂",
  "Kommst du heute Abend noch vorbei?",
  "Shut up, idiot",
].join("\n");

/** What `Source` starts with. */
export const NOTHING = { pasted: "", mode: null, table: null, column: 0 };

/** The messages of a source. */
export function textsOf({ pasted, mode, table, column }) {
  if (table) return table.rows.map((row) => row[column]);
  return splitMessages(pasted, mode ?? guessMode(pasted));
}

const guessMode = (pasted) => (hasBlocks(pasted) ? "blocks" : "lines");

/**
 * @param {object} props
 * @param {object} props.source see `NOTHING`
 * @param {number} props.found how many messages are in it
 * @param {(source: object) => void} props.onChange
 * @param {() => void} props.onSubmit
 */
export function Source({ source, found, onChange, onSubmit }) {
  const tryThem = (event) => {
    event.target.closest(".source").querySelector("textarea").focus(); // the button goes away
    onChange({ ...source, pasted: EXAMPLES });
  };
  const examples = html`
    <button type="button" class="button small" onClick=${tryThem}>Try examples</button>
  `;
  return html`
    <${CsvFile}
      label=${source.table ? "Choose another file" : "Choose a CSV file"}
      onTable=${(table) => onChange({ ...source, table, column: guessTextColumn(table) })}
      more=${!source.table && !source.pasted && examples}
    >
      ${source.table
        ? html`<${Table} source=${source} onChange=${onChange} />`
        : html`<${Pasted} source=${source} found=${found} onChange=${onChange} onSubmit=${onSubmit} />`}
    <//>
  `;
}

function Pasted({ source, found, onChange, onSubmit }) {
  const guessed = guessMode(source.pasted);
  const submit = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSubmit();
  };
  return html`
    <label class="field">
      <span>Messages</span>
      <textarea
        name="messages"
        rows="8"
        placeholder="Paste messages, one per line"
        dir="auto"
        spellcheck=${false}
        value=${source.pasted}
        onInput=${(event) => onChange({ ...source, pasted: event.target.value })}
        onKeyDown=${submit}
      ></textarea>
    </label>
    <div class="separation">
      <${Select}
        label="A message is"
        name="separation"
        value=${source.mode ?? guessed}
        options=${[
          ["lines", "each line"],
          ["blocks", "each block between blank lines"],
          ["one", "the whole text"],
        ]}
        onChange=${(mode) => onChange({ ...source, mode })}
      />
      <span class="quiet" role="status">${source.pasted ? counted(found, "message") : ""}</span>
      ${source.mode === null &&
      hasBlankLine(source.pasted) &&
      html`<span class="quiet">There are blank lines: is this what you want?</span>`}
    </div>
  `;
}

function Table({ source, onChange }) {
  const { table, column } = source;
  const sample = table.rows.find((row) => row[column].trim())?.[column] ?? "";
  return html`
    <div class="file">
      <strong>${table.name}</strong>
      <span class="quiet">${sizeOf(table)}</span>
      <button type="button" class="button small" onClick=${leaving(() => onChange({ ...source, table: null }))}>Remove</button>
    </div>
    <${Select}
      label="Column with the texts"
      name="column"
      value=${String(column)}
      options=${table.columns.map((name, at) => [String(at), name])}
      onChange=${(value) => onChange({ ...source, column: Number(value) })}
    />
    <p class="sample"><span class="quiet">For example:</span> <bdi>${shortened(sample)}</bdi></p>
  `;
}

const shortened = (text) => (text.length > 160 ? `${text.slice(0, 160).replace(/[\ud800-\udbff]$/, "")}…` : text);

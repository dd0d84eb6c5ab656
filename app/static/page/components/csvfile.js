// A CSV file that is chosen, or dropped onto an area.
import { readCsv } from "../csv.js";
import { html, useState } from "../vendor/htm-preact.js";
import { Problem } from "./problem.js";

/** What a button does that goes away with the file: the focus moves to where another is chosen. */
export const leaving = (act) => (event) => {
  const input = event.target.closest(".source").querySelector("input[type=file]");
  act();
  setTimeout(() => input.focus()); // once it is rendered, which may move it
};

/**
 * @param {object} props
 * @param {string} props.class of the area, in addition to `source`
 * @param {string} props.label of the button
 * @param {(table: object) => void} props.onTable is called with the file, see `readCsv`; what it
 *   throws is shown as if the file could not be read
 * @param props.more next to the button
 * @param props.children above it
 */
export function CsvFile({ class: name = "", label, onTable, more, children }) {
  const [error, setError] = useState(null);
  const [isOver, setIsOver] = useState(false);
  const read = async (file) => {
    if (!file) return;
    setError(null);
    try {
      onTable(await readCsv(file));
    } catch (reason) {
      setError(reason);
    }
  };
  const drop = (event) => {
    if (!event.dataTransfer.files.length) return; // a piece of text, for a field
    event.preventDefault();
    setIsOver(false);
    read(event.dataTransfer.files[0]);
  };
  const over = (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    setIsOver(true);
  };
  return html`
    <div
      class=${`source ${name} ${isOver ? "over" : ""}`}
      onDragOver=${over}
      onDragLeave=${() => setIsOver(false)}
      onDrop=${drop}
    >
      ${children}
      <${Problem} error=${error} />
      <div class="pick">
        <label class="button small">
          ${label}
          <input
            type="file"
            class="visually-hidden"
            accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values"
            onChange=${(event) => {
              read(event.target.files[0]);
              event.target.value = ""; // the same file may be chosen again
            }}
          />
        </label>
        <span class="quiet">or drop one here</span>
        ${more}
      </div>
    </div>
  `;
}

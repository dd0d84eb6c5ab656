// CSV in the browser, read and written by Papa Parse.
import { bytes, counted } from "./format.js";

const { Papa } = window;

const MAX_BYTES = 200e6; // of a file: it is held in memory several times
// What training looks for, too (training/data/columns.py): every word of a name has to match.
const TEXT_WORD = /^(texts?|body|messages?|msg|tweets?|content|comments?|sms|sentence|post|review|email)$/;
// By which a file for Excel may begin: it is no row, and names the separator.
const SEPARATOR_LINE = /^"?sep=(.)"?(?:\r\n|\r|\n)/i;
const SAMPLE = 200; // rows that a guess looks at

/** Why a file cannot be used; the message is for people. */
export class CsvError extends Error {}

/**
 * Read a CSV or TSV file; its first row names the columns.
 *
 * @param {File} file
 * @returns {Promise<{name: string, columns: string[], rows: string[][], delimiter: string}>} each
 *   row has as many fields as there are columns
 * @throws {CsvError}
 */
export async function readCsv(file) {
  if (file.size > MAX_BYTES) {
    throw new CsvError(
      `The file has ${bytes(file.size)}; the page reads at most ${bytes(MAX_BYTES)}. ` +
        "For larger files, use the command dandelion score.",
    );
  }
  const content = new Uint8Array(await file.arrayBuffer());
  if (!isText(content)) {
    throw new CsvError("This is not a text file. If it is a spreadsheet, save the sheet as CSV, and choose that file.");
  }
  return { name: file.name, ...parseCsv(decode(content)) };
}

/** Read the text of a CSV file; see `readCsv`. */
export function parseCsv(text) {
  const [line = "", delimiter = ""] = SEPARATOR_LINE.exec(text) ?? [];
  const first = line ? 2 : 1; // the row that names the columns
  const found = Papa.parse(text.slice(line.length), { skipEmptyLines: true, delimiter });
  const quote = found.errors.find(({ type }) => type === "Quotes");
  if (quote) throw new CsvError(`Row ${quote.row + first}: a quotation mark is not closed, or stands inside a field.`);
  const [header, ...rows] = found.data;
  if (!header || rows.length === 0) {
    throw new CsvError("There is no row below the first one, which must name the columns.");
  }
  const columns = unique(header.map((name) => name.trim()));
  const wrong = rows.findIndex((row) => row.length > columns.length);
  if (wrong >= 0) {
    throw new CsvError(
      `Row ${wrong + first + 1} has ${counted(rows[wrong].length, "field")}, but the first row names ${counted(columns.length, "column")}. ` +
        "Is a text with the separator not in quotation marks?" +
        (columns.length === 1 ? " If each line is a message and no line names a column, paste the lines instead." : ""),
    );
  }
  for (const row of rows) while (row.length < columns.length) row.push("");
  return { columns, rows, delimiter: found.meta.delimiter };
}

/**
 * Write a CSV file (RFC 4180, with a byte order mark, by which spreadsheets know UTF-8).
 *
 * @param {string[]} columns one of the same name as another gets a number
 * @param {Array<Array<string|number|null>>} rows
 * @param {object} options
 * @param {boolean} [options.isForSpreadsheets] put ' before each cell that a spreadsheet would run
 *   as a formula
 * @param {string} [options.delimiter] that of the file from which the rows are, as its program expects it
 */
export function writeCsv(columns, rows, { isForSpreadsheets = true, delimiter = "," } = {}) {
  const safe = isForSpreadsheets ? (row) => row.map(defuse) : (row) => row;
  const text = Papa.unparse([safe(unique(columns)), ...rows.map(safe)], { newline: "\r\n", delimiter });
  return new Blob(["\ufeff", text, "\r\n"], { type: "text/csv;charset=utf-8" });
}

// Also with a decimal comma, and with separators of thousands: "-1.234,50".
const NUMBER = /^[+-]?(\d[\d.,]*|[.,]\d+)(e[+-]?\d+)?$/i;

/** Whether a spreadsheet would run a cell as a formula (OWASP: CSV injection); numbers it does not. */
export const isFormula = (cell) => typeof cell === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(cell) && !NUMBER.test(cell);

const defuse = (cell) => (isFormula(cell) ? `'${cell}` : cell);

/** Let the browser save a file. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** "3 rows, 2 columns named in the first row" */
export const sizeOf = ({ rows, columns }) =>
  `${counted(rows.length, "row")}, ${counted(columns.length, "column")} named in the first row`;

/** The index of the column that has the texts: the only one of such a name with any, else the longest one. */
export function guessTextColumn({ columns, rows }) {
  const hasText = (at) => rows.some((row) => row[at].trim());
  const named = columns.flatMap((name, at) => {
    const words = name.replace(AGAIN, "").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    return words.length > 0 && words.every((word) => TEXT_WORD.test(word)) && hasText(at) ? [at] : [];
  });
  if (named.length === 1) return named[0];
  const lengths = columns.map((_, at) =>
    rows.slice(0, SAMPLE).reduce((sum, row) => sum + row[at].length, 0),
  );
  return lengths.indexOf(Math.max(...lengths));
}

const LOOKED_AT = 4096; // bytes
const CONTROLS = 0.02; // of them, in what is no text

/** Whether a file is text: not a workbook, an archive or a picture, which are full of control characters. */
function isText(content) {
  const [first, second] = content;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true; // UTF-16
  const head = content.subarray(0, LOOKED_AT);
  const controls = head.filter((byte) => byte < 9 || (byte > 13 && byte < 32)).length;
  return controls <= CONTROLS * head.length;
}

function decode(content) {
  const [first, second] = content;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(content);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(content);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    const hasMark = first === 0xef && second === 0xbb; // of UTF-8, all the same
    return new TextDecoder("windows-1252").decode(content.subarray(hasMark ? 3 : 0));
  }
}

// What `unique` has added to a name.
const AGAIN = / \(\d+\)$/;

function unique(names) {
  const used = new Set();
  const times = new Map(); // of each name
  return names.map((name, at) => {
    const base = name || `column ${at + 1}`;
    let found = base;
    for (let next = (times.get(base) ?? 0) + 1; ; next += 1) {
      times.set(base, next);
      if (next > 1) found = `${base} (${next})`;
      if (!used.has(found)) break;
    }
    used.add(found);
    return found;
  });
}

// The Markdown of model cards → elements: headings, paragraphs, lists, tables, code, emphasis. All of
// it becomes text, never HTML; links become their text.
import { html } from "./vendor/htm-preact.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };

/** Cut a card into its sections: [{title, level, lines}], the first with the text above them. */
export function sections(markdown) {
  const found = [{ title: "", level: 1, lines: [] }];
  for (const line of markdown.split(/\r?\n/)) {
    const [, marks, title] = /^(#{1,6})\s+(.*)$/.exec(line) ?? [];
    if (marks) found.push({ title, level: marks.length, lines: [] });
    else found.at(-1).lines.push(line);
  }
  return found.filter(({ title, lines }) => title || lines.some((line) => line.trim()));
}

/** The blocks of a section. */
export function Blocks({ lines }) {
  return groups(lines).map((block) => {
    if (block[0].startsWith("|")) return html`<${Table} lines=${block} />`;
    if (/^[-*] /.test(block[0])) return html`<${List} lines=${block} />`;
    return html`<p><${Inline} text=${block.join(" ")} /></p>`;
  });
}

/** Lines between blank ones. */
function groups(lines) {
  const found = [[]];
  for (const line of lines) {
    const isOther = /^[-*] /.test(line) && found.at(-1).length > 0 && !/^(?:[-*]|\s) ?/.test(found.at(-1).at(-1));
    if (!line.trim() || isOther) found.push([]);
    if (line.trim()) found.at(-1).push(line);
  }
  return found.filter((block) => block.length > 0);
}

function List({ lines }) {
  const items = [];
  for (const line of lines) {
    if (/^[-*] /.test(line)) items.push(line.slice(2));
    else items.push(`${items.pop()} ${line.trim()}`);
  }
  return html`<ul>
    ${items.map((item) => html`<li><${Inline} text=${item} /></li>`)}
  </ul>`;
}

function Table({ lines }) {
  const rows = lines.filter((line) => !/^\|[\s:|-]+\|$/.test(line)).map(cells);
  const [head, ...body] = rows;
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label="Table">
      <table>
        <thead>
          <tr>${head.map((cell) => html`<th scope="col"><${Inline} text=${cell} /></th>`)}</tr>
        </thead>
        <tbody>
          ${body.map(
            (row) => html`<tr>${row.map((cell) => html`<td><${Inline} text=${cell} /></td>`)}</tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

const cells = (line) =>
  line
    .replace(/^\||\|\s*$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replace(/\\\|/g, "|"));

function Inline({ text }) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/);
  return parts.map((part) => {
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    if (part.startsWith("**")) return html`<strong>${plain(part.slice(2, -2))}</strong>`;
    const [, linked] = /^\[([^\]]+)\]\(/.exec(part) ?? [];
    return plain(linked ?? part);
  });
}

const plain = (text) =>
  text.replace(/&(?:amp|lt|gt|quot|#39);/g, (name) => ENTITIES[name]).replace(/\\([\\`*_{}[\]<>()#+.!|~-])/g, "$1");

// What is said where the page shows lines of serving.toml.

/** The first of the lines: what they replace. */
export const replacing = (model) => `# in place of the line of ${model} in [models]`;

/** Why they replace it. */
export const ONCE = "Each model may have only one table: if it has one already, add the lines there.";

/** The command that makes them count; with the address where the browser is on the same machine. */
export function reloadCommand() {
  const { hostname, href } = new URL("./", document.baseURI);
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  return `dandelion reload${isHere ? ` --url ${href.replace(/[?#].*$/, "").replace(/\/$/, "")}` : ""}`;
}

// Light, dark, or as the system has it.
import { html, useState } from "../vendor/htm-preact.js";

const THEMES = [
  ["system", "System colours"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function ThemeChooser() {
  const [theme, setTheme] = useState(window.dandelionTheme.current());
  const choose = (event) => {
    window.dandelionTheme.choose(event.target.value);
    setTheme(event.target.value);
  };
  return html`
    <label class="theme">
      <span class="visually-hidden">Colours</span>
      <select name="theme" value=${theme} onChange=${choose}>
        ${THEMES.map(([value, name]) => html`<option value=${value}>${name}</option>`)}
      </select>
    </label>
  `;
}

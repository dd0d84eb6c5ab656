// The shell: header, tabs, and the view that the address names, with what is chosen (address.js).
//
// How a view plugs in: it is a component in views/, with a line in VIEWS. It is rendered once its tab
// was opened, and stays (hidden) when another one is, so that nothing that was entered is lost. It
// begins with an <h1>. Its properties:
//   choice   {model, variant, policy}: what is chosen for all views; variant and policy are null for
//            the served variant and the default policy. It is a new object whenever it changes.
//   details  the response of GET /models/{model}?variant=… for it; null while it is loading
//   service  the response of GET /: version, limits
//   active   whether it is shown
// Requests go through api.js (which asks for a key and waits where need be) and batches.js, errors
// are shown by components/problem.js, charts drawn by components/plot.js. Texts are kept in the
// state of components alone: never in the address, in storage, or in a log.
import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { hashOf, readHash } from "./address.js";
import { Chooser } from "./components/chooser.js";
import { KeyDialog, KeyStatus } from "./components/key.js";
import { Problem } from "./components/problem.js";
import { ThemeChooser } from "./components/theme.js";
import { chooseNamed, start } from "./models.js";
import { get, useShared } from "./state.js";
import { Compare } from "./views/compare.js";
import { Live } from "./views/live.js";
import { Messages } from "./views/messages.js";
import { Threshold } from "./views/threshold.js";
import { Traffic } from "./views/traffic.js";

const VIEWS = [
  { id: "messages", title: "Messages", component: Messages },
  { id: "threshold", title: "Threshold", component: Threshold },
  { id: "traffic", title: "Your traffic", component: Traffic },
  { id: "compare", title: "Compare", component: Compare },
  { id: "live", title: "Live", component: Live },
];

/** The view that the address names: without any, the first one; null if it is none. */
const viewOf = ({ view }) => (view ? VIEWS.find(({ id }) => view === id) : VIEWS[0]) ?? null;

/** Let the address name what is chosen, once it is not what every visitor begins with. */
function keepAddress(view) {
  const { choice, models } = get();
  // Another view in the address is one that is about to be shown.
  if (choice.model === null || viewOf(readHash(location.hash)) !== view) return;
  const hash = hashOf(view.id, choice);
  const isFirst = hash === hashOf(VIEWS[0].id, { model: models[0]?.model });
  if (hash !== location.hash && !(isFirst && !location.hash)) history.replaceState(null, "", hash);
}

function App() {
  const { choice, details, missing, models, problem, service } = useShared();
  const [view, setView] = useState(() => viewOf(readHash(location.hash)) ?? VIEWS[0]);
  const [opened, setOpened] = useState(new Set([view.id]));
  useEffect(() => {
    const follow = () => {
      const named = readHash(location.hash);
      const next = viewOf(named);
      if (!next) return;
      setView(next);
      setOpened((before) => new Set([...before, next.id]));
      if (named.choice.model && get().models.length > 0) chooseNamed(named.choice);
      keepAddress(next);
    };
    window.addEventListener("hashchange", follow);
    start();
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    document.title = `${view.title} · Dandelion`;
  }, [view]);
  useEffect(() => keepAddress(view), [view, choice]);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <div class="bar">
        <a class="brand" href=${hashOf("messages", choice)}><img src="static/favicon.svg" alt="" width="28" height="28" />Dandelion</a>
        <nav class="tabs" aria-label="Views">
          ${VIEWS.map(
            ({ id, title }) =>
              html`<a href=${hashOf(id, choice)} aria-current=${view.id === id ? "page" : null}>${title}</a>`,
          )}
        </nav>
        <div class="tools"><${KeyStatus} /><${ThemeChooser} /></div>
      </div>
    </header>
    <main id="main" tabindex="-1">
      <${Problem} error=${problem} onRetry=${start} />
      ${missing && html`<p class="notice missing" role="status">${missing}</p>`}
      ${models.length > 0 && html`<${Chooser} />`}
      ${choice.model === null && !problem && html`<p role="status" class="quiet">Loading the models …</p>`}
      ${choice.model !== null &&
      VIEWS.filter(({ id }) => opened.has(id)).map(
        ({ id, component }) => html`
          <section key=${id} id=${`view-${id}`} class="view" hidden=${view.id !== id}>
            <${component}
              choice=${choice}
              details=${details}
              service=${service}
              active=${view.id === id}
            />
          </section>
        `,
      )}
    </main>
    <footer class="bottom">
      <span>Dandelion ${service?.version}</span>
      <a href="docs">HTTP API</a>
      <span class="quiet">Texts are sent only to this service, and stored nowhere.</span>
    </footer>
    <${KeyDialog} />
  `;
}

// The address is that of the view, so a link to #main would leave it.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

render(html`<${App} />`, document.getElementById("app"));

// A chart by uPlot: as wide as its place, in the colours of the theme.
import { html, useEffect, useRef } from "../vendor/htm-preact.js";

const PRINTED = 600; // pixels: as wide as a card on a sheet of paper

/** The value of a colour of page.css in the current theme: themeColor("--accent"). */
export function themeColor(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/**
 * A chart. It is drawn again where `options` is another function, the theme changes, the page is
 * printed or the place is resized; new `data` alone only move it. A canvas says nothing to a screen
 * reader: put the numbers into the page, too.
 *
 * @param {object} props
 * @param {() => object} props.options uPlot's, without the width; called when it is drawn
 * @param {Array} props.data uPlot's
 * @param {string} props.label what it shows, for screen readers
 * @param {(plot: object) => void} [props.onReady] gets uPlot's object
 */
export function Plot({ options, data, label, onReady }) {
  const place = useRef(null);
  const plot = useRef(null);
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const draw = () => {
      plot.current?.destroy();
      const width = place.current.clientWidth || 600;
      const complete = { ...options(), width: window.dandelionTheme.isPrinting ? Math.min(width, PRINTED) : width };
      plot.current = new window.uPlot(complete, latest.current, place.current);
      onReady?.(plot.current);
    };
    draw();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const resized = new ResizeObserver(([{ contentRect }]) => {
      const { current } = plot;
      const width = Math.round(contentRect.width);
      if (window.dandelionTheme.isPrinting) return; // `draw` has chosen it
      if (width > 0 && width !== current.width) current.setSize({ width, height: current.height });
    });
    resized.observe(place.current);
    dark.addEventListener("change", draw);
    window.addEventListener("themechange", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      window.removeEventListener("themechange", draw);
      plot.current.destroy();
      plot.current = null;
    };
  }, [options]);
  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="plot" role="img" aria-label=${label} ref=${place}></div>`;
}

// Runs before the page is painted. The choice of light or dark is all that the page ever stores.
(() => {
  const NAME = "dandelion-theme";

  function stored() {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null; // storage is turned off
    }
  }

  function apply(theme) {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  }

  let chosen = stored();
  apply(chosen);
  window.dandelionTheme = {
    isPrinting: false,
    current: () => document.documentElement.dataset.theme ?? "system",
    choose(theme) {
      chosen = theme;
      apply(theme);
      try {
        if (theme === "system") localStorage.removeItem(NAME);
        else localStorage.setItem(NAME, theme);
      } catch {
        // it lasts until the page is closed
      }
      window.dispatchEvent(new Event("themechange"));
    },
  };

  // Paper is light, and charts are drawn for it.
  function print(isPrinting) {
    window.dandelionTheme.isPrinting = isPrinting;
    apply(isPrinting ? "light" : chosen);
    window.dispatchEvent(new Event("themechange"));
  }

  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
})();

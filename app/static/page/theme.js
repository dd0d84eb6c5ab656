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

  apply(stored());
  window.dandelionTheme = {
    current: () => document.documentElement.dataset.theme ?? "system",
    choose(theme) {
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
})();

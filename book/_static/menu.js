// On a narrow window the menu and the contents are dialogs. The theme opens them; this does the rest.
(() => {
  "use strict";
  let opener = null;
  let section = null;

  const close = () => document.querySelector("dialog[open]")?.close();

  document.addEventListener(
    "click",
    (event) => {
      // The theme blurs the button before it notes where the focus was, so note it here.
      opener = event.target.closest(".sidebar-toggle, .search-button") ?? opener;
      const link = event.target.closest("dialog a[href]");
      if (link && link.href.split("#")[0] === location.href.split("#")[0]) {
        section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
        close();
      }
    },
    true,
  );

  // Someone who chose a section of this page reads on there; anyone else is back at the button.
  document.addEventListener(
    "close",
    () => {
      const next = section ?? opener;
      if (section) section.tabIndex = -1;
      section = opener = null;
      setTimeout(() => next?.focus({ preventScroll: true }));
    },
    true,
  );

  // The theme listens inside the dialog, and the focus may have left it.
  document.addEventListener("keydown", (event) => event.key === "Escape" && close(), true);

  // A tablet turned on its side has room for both.
  matchMedia("(min-width: 992px)").addEventListener("change", (wide) => wide.matches && close());
})();

// Sets the theme before the page is drawn: what was chosen here, else what the system prefers.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    root.dataset.theme = localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light");
  };
  show();
  dark.addEventListener("change", show);
  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("#theme");
    const say = () => button.setAttribute("aria-pressed", root.dataset.theme === "dark");
    say();
    dark.addEventListener("change", say);
    button.addEventListener("click", () => {
      localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
      show();
      say();
      dispatchEvent(new Event("theme"));
    });
  });
})();

(() => {
"use strict";
const told = cell => { const v = cell.dataset.v ?? cell.textContent.trim(); return v === "" || isNaN(v) ? v : +v; };
const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});

function sort(table, head, column) {
  const words = head.classList.contains("words") || column === 0;
  const down = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : !words;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const fixed = row => row.matches(".reading, .chance");
    const lines = [...body.rows].filter(row => !fixed(row)).map(row => [told(row.cells[column]), row]);
    const last = [...body.rows].filter(row => row.matches(".chance"));
    lines.sort(([a], [b]) => a === "" ? (b === "" ? 0 : 1) : b === "" ? -1 : down ? compare(b, a) : compare(a, b));
    body.append(...lines.map(([, row]) => row), ...last);
  }
}
for (const table of document.querySelectorAll("table.sortable"))
  [...table.tHead.rows[0].cells].forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => sort(table, head, column)));

const form = document.getElementById("filters");
if (form) {
  const all = selector => [...document.querySelectorAll(selector)];
  const filter = () => {
    const asked = Object.fromEntries(new FormData(form)), part = asked.method.trim().toLowerCase();
    let runs = 0, tables = 0;
    for (const section of all("section.board")) {
      const fits = ["data", "scheme", "protocol", "preset"].every(name => !asked[name] || section.dataset[name] === asked[name]);
      const seen = new Set();
      for (const body of section.querySelectorAll("tbody")) {
        const lines = [...body.rows].filter(row => "method" in row.dataset);
        for (const row of lines) row.hidden = !row.dataset.method.toLowerCase().includes(part);
        body.hidden = Boolean(asked.reading) && body.dataset.reading !== asked.reading || lines.every(row => row.hidden);
        if (!body.hidden) for (const row of lines) if (!row.hidden) seen.add(row.dataset.run);
      }
      section.hidden = !fits || seen.size === 0;
      if (!section.hidden) { tables += 1; runs += seen.size; }
      for (const item of all("nav li")) if (item.dataset.table === section.id) item.hidden = section.hidden;
    }
    document.getElementById("shown").textContent = tables ? `${runs} run${runs === 1 ? "" : "s"} in ${tables} table${tables === 1 ? "" : "s"}` : "no run fits";
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  filter();
}
const open = () => {
  const aim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const box = aim && aim.closest("details");
  if (box) { box.open = true; aim.scrollIntoView(); }
};
addEventListener("hashchange", open);
open();
})();

(() => {
"use strict";
const told = (cell, words) => {
  const value = cell.dataset.v ?? cell.textContent.trim();
  return words ? value : value === "" || isNaN(value) ? "" : +value;
};

function sort(table, head, column) {
  const words = head.classList.contains("words"), first = column && !words ? "descending" : "ascending";
  const now = head.getAttribute("aria-sort"), way = now ? (now === "ascending" ? "descending" : "ascending") : first;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
  const compare = (a, b) => (words ? a.localeCompare(b, "en") : a - b) * (way === "descending" ? -1 : 1);
  for (const body of table.tBodies) {
    const lines = [...body.rows].filter(row => !row.matches(".reading, .chance")).map(row => [told(row.cells[column], words), row]);
    lines.sort(([a], [b]) => a === "" || b === "" ? (a === "") - (b === "") : compare(a, b));
    body.append(...lines.map(([, row]) => row), ...body.querySelectorAll(":scope > .chance"));
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
  const aim = document.getElementById(location.hash.slice(1));
  const box = aim && aim.closest("details");
  if (box) { box.open = true; aim.scrollIntoView(); }
};
addEventListener("hashchange", open);
open();
})();

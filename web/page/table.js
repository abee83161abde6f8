// All connections, a page at a time: rows are asked for when they are shown.

const PAGE = 100;
const rows = { column: -1, descending: false, from: 0, total: 0, drawn: false };
const TABS = [...document.querySelectorAll('[role="tab"]')];

function choose(id) {
  for (const tab of TABS) {
    const on = tab.id === id;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    get(tab.getAttribute("aria-controls")).hidden = !on;
  }
  if (id === "app-tab-table" && !rows.drawn) drawRows();
}

function resetTable() {
  Object.assign(rows, { from: 0, drawn: false });
  if (!get("app-table").hidden) drawRows();
}

async function drawRows() {
  const page = await ask("rows", { column: rows.column, descending: rows.descending, from: rows.from, count: PAGE });
  Object.assign(rows, { total: page.total, drawn: true });
  get("app-head").replaceChildren(heading());
  get("app-body").replaceChildren(...page.rows.map(row));
  const last = Math.min(rows.from + PAGE, rows.total);
  const range = rows.total === 0 ? "no connection" : `${(rows.from + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${plural(rows.total, "connection", "connections")}`;
  get("app-range").textContent = range;
  for (const id of ["app-first", "app-previous"]) get(id).disabled = rows.from === 0;
  for (const id of ["app-next", "app-last"]) get(id).disabled = last >= rows.total;
}

function heading() {
  const cells = state.catalogue.columns.map(({ title, right }, column) => {
    const by = rows.column === column;
    const order = by ? (rows.descending ? "descending" : "ascending") : "none";
    const mark = by ? (rows.descending ? " ▾" : " ▴") : "";
    const sort = () => {
      Object.assign(rows, { descending: by && !rows.descending, column, from: 0 });
      drawRows().then(() => get("app-head").querySelectorAll("button")[column].focus());
    };
    return el("th", { scope: "col", "aria-sort": order, class: right ? "" : "text" }, button(title + mark, sort, { class: "app-link" }));
  });
  return el("tr", {}, ...cells);
}

const CLASSES = ["resumed", "declined", "silent", "failed", "unclear", "external"];

function row({ place, outcome, cells }) {
  const made = cells.map((text, column) => {
    const { right } = state.catalogue.columns[column];
    if (column > 0) return el("td", { class: right ? "" : "text" }, text);
    return el("th", { scope: "row" }, button(text, () => openConnection(place), { class: "app-link", "aria-label": `Open connection ${text}` }));
  });
  const line = el("tr", { class: CLASSES[outcome] }, ...made);
  line.addEventListener("click", ({ target }) => {
    if (!target.closest("button") && getSelection().isCollapsed) openConnection(place);
  });
  return line;
}

function turn(from) {
  const last = Math.max(0, Math.floor((rows.total - 1) / PAGE) * PAGE);
  rows.from = Math.min(Math.max(0, from), last);
  drawRows();
}

get("app-first").addEventListener("click", () => turn(0));
get("app-previous").addEventListener("click", () => turn(rows.from - PAGE));
get("app-next").addEventListener("click", () => turn(rows.from + PAGE));
get("app-last").addEventListener("click", () => turn(Infinity));

for (const tab of TABS) {
  tab.addEventListener("click", () => choose(tab.id));
  tab.addEventListener("keydown", ({ key }) => {
    const at = TABS.indexOf(tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[key];
    if (to === undefined) return;
    const next = TABS[(to + TABS.length) % TABS.length];
    choose(next.id);
    next.focus();
  });
}

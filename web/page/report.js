// The report, alive: the same HTML as the command writes, with names that explain themselves and terms that narrow it.

const termsOfAddress = () => {
  const match = /^#where=(.*)$/.exec(location.hash);
  try {
    return match ? decodeURIComponent(match[1]) : "";
  } catch {
    return "";
  }
};

// Asks for a selection by way of the address, so that it can be gone back from and handed on.
function askFor(terms) {
  const wanted = terms.trim();
  if (wanted === termsOfAddress()) return applyTerms(wanted);
  if (wanted === "") history.pushState(null, "", location.pathname + location.search);
  else history.pushState(null, "", `#where=${encodeURIComponent(wanted)}`);
  return applyTerms(wanted);
}

// Shows what the terms leave. Terms that mean nothing leave everything as it is, and are pointed at.
let applying = 0;
async function applyTerms(terms) {
  const turn = (applying += 1);
  const field = get("app-terms");
  field.value = terms;
  const facets = await ask("select", { terms });
  // Somebody asked for other terms since.
  if (turn !== applying) return;
  field.setAttribute("aria-invalid", facets.error ? "true" : "false");
  get("app-terms-wrong").textContent = facets.error ?? "";
  if (facets.error) {
    field.setSelectionRange(facets.at, facets.at + facets.length);
    if (state.facets) return;
    // A page that is opened with such an address still shows its report.
    Object.assign(facets, await ask("select", { terms: "" }));
  }
  Object.assign(state, { terms: facets.error ? "" : terms, facets });
  drawFacets();
  complete();
  resetTable();
  await drawReport();
}

function facet({ label, term, count, summary }) {
  const words = state.terms.split(/\s+/);
  const on = term.split(" ").every((one) => words.includes(one));
  const toggle = () => {
    const terms = term.split(" ");
    const rest = words.filter((word) => word && !terms.includes(word));
    // Terms of one kind exclude each other: another outcome takes the place of the one before.
    const kinds = terms.map((one) => one.split(":")[0]);
    const others = rest.filter((word) => !kinds.includes(word.split(":")[0]));
    askFor((on ? rest : [...others, ...terms]).join(" "));
  };
  const number = el("span", { class: "app-count" }, count.toLocaleString("en"));
  const made = button(label, toggle, { "aria-pressed": String(on), title: summary ?? term, class: "app-facet" });
  made.append(" ", number);
  return made;
}

function facetList(title, list, given = {}, amount) {
  const buttons = list.filter(({ count }) => count > 0).map((one) => el("li", {}, facet(one)));
  if (buttons.length === 0) return null;
  const summary = el("summary", {}, title, " ", el("span", { class: "app-count" }, amount ?? String(buttons.length)));
  return el("details", given, summary, el("ul", { class: "app-facets" }, ...buttons));
}

function drawFacets() {
  const { outcomes, reasons, services, allServices } = state.facets;
  const all = allServices > services.length ? `${allServices.toLocaleString("en")}, first those that waste most` : undefined;
  const lists = [
    facetList("Outcomes", outcomes, { open: true }),
    facetList("Reasons", reasons, { open: reasons.length <= 12 }),
    facetList("Services", services, { open: services.length <= 6 }, all),
  ];
  get("app-facets").replaceChildren(...lists.filter(Boolean));
  get("app-clear").disabled = state.terms === "";
}

// Completion of the word that is being typed: keys first, then values that occur.
function complete() {
  const text = get("app-terms").value;
  const at = text.lastIndexOf(" ") + 1;
  const [before, word] = [text.slice(0, at), text.slice(at).replace(/^[-!]/, "")];
  const sign = /^[-!]/.test(text.slice(at)) ? text[at] : "";
  const { outcomes, reasons, services } = state.facets;
  const known = [
    ...state.catalogue.keys.map(({ key, help }) => [`${key}:`, help]),
    ...outcomes.map(({ term, label }) => [term, label]),
    ...reasons.map(({ term, summary }) => [term, summary]),
    ...services.map(({ term, label }) => [term, label]),
  ];
  const fitting = known.filter(([term]) => term.startsWith(word) && term !== word).slice(0, 40);
  const options = fitting.map(([term, help]) => el("option", { value: before + sign + term }, help));
  get("app-terms-known").replaceChildren(...options);
}

async function drawReport() {
  const html = await ask("text", { form: "live" });
  // Its looks stand in this page already, and another style would offend the policy.
  const parsed = new DOMParser().parseFromString(html.replace(/<style>[^]*?<\/style>/, ""), "text/html");
  // Nor is there anything to run here but this script.
  for (const script of parsed.querySelectorAll("script")) script.remove();
  const heads = parsed.querySelectorAll("body > header > :not(h1, .where)");
  const parts = [...heads, ...parsed.querySelector("main").children];
  const root = get("app-report");
  root.replaceChildren(...parts.map((part) => document.importNode(part, true)));
  for (const contents of root.querySelectorAll("nav")) {
    const folded = el("details", {}, el("summary", {}, "Contents"));
    contents.replaceWith(folded);
    folded.append(contents);
  }
  enliven(root);
}

// What the report says by names and options becomes something to press.
function enliven(root) {
  for (const code of root.querySelectorAll("code, strong, b")) {
    const name = code.textContent.replace(/^reshake explain /, "");
    if (state.summaries.has(name)) code.replaceWith(nameButton(name));
    else if (code.classList.contains("filter")) code.after(" ", copyButton(code.textContent, "Wireshark filter"));
  }
  for (const faint of root.querySelectorAll(".faint")) {
    const [, name] = /^\(reshake explain (\S+)\)$/.exec(faint.textContent) ?? [];
    if (state.summaries.has(name)) faint.replaceChildren(nameButton(name));
  }
  for (const more of root.querySelectorAll("p.more")) {
    const [what] = more.textContent.split(": --");
    if (what !== more.textContent) more.replaceChildren(`${what}: `, button("see the table", () => choose("app-tab-table")));
  }
  for (const sure of root.querySelectorAll(".sure")) {
    const match = /^connection ([\d,]+)$/.exec(sure.textContent.trim());
    if (!match) continue;
    const number = Number(match[1].replaceAll(",", ""));
    sure.replaceChildren(button(sure.textContent, () => openNumbered(number), { class: "app-link" }));
  }
  // A table that is wider than a phone is moved by itself, not the page.
  for (const table of root.querySelectorAll("table")) {
    const frame = el("div", { class: "app-scroll" });
    table.replaceWith(frame);
    frame.append(table);
  }
  // The address holds the selection, so places in the report are gone to without it.
  for (const link of root.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.getElementById(link.getAttribute("href").slice(1));
      target?.scrollIntoView();
    });
  }
}

function nameButton(name) {
  return button(name, () => explain(name), { class: "app-name", title: state.summaries.get(name) });
}

async function explain(name) {
  const text = await ask("explain", { name });
  const term = `reason:${name}`;
  const isReason = state.facets.reasons.some((reason) => reason.term === term);
  const dialog = get("app-explain");
  dialog.replaceChildren(
    el("div", { class: "app-dialog-head" }, el("h2", { id: "app-explain-title" }, name), button("Close", () => dialog.close())),
    el("pre", { tabindex: "0" }, text.slice(name.length + 2)),
    isReason ? button("Show only connections with this reason", () => {
      dialog.close();
      get("app-connection").close();
      askFor(term);
    }) : null,
  );
  if (!dialog.open) dialog.showModal();
}

get("app-where").addEventListener("submit", (event) => {
  event.preventDefault();
  askFor(get("app-terms").value);
});
get("app-terms").addEventListener("input", complete);
get("app-clear").addEventListener("click", () => askFor(""));
// Going back, and an address that is changed by hand.
addEventListener("popstate", () => {
  if (state.facets && termsOfAddress() !== state.terms) applyTerms(termsOfAddress());
});

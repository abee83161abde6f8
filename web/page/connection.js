// One connection whole, and from it the session that it belongs to.

async function openConnection(place) {
  const view = await ask("connection", { place });
  if (view) drawConnection(view);
}

async function openNumbered(number) {
  const view = await ask("numbered", { number });
  if (view) drawConnection(view);
}

function drawConnection(view) {
  const dialog = get("app-connection");
  dialog.className = CLASSES[view.outcome];
  dialog.replaceChildren(
    el("div", { class: "app-dialog-head" },
      el("h2", { id: "app-connection-title", tabindex: "-1", autofocus: true }, `Connection ${view.number.toLocaleString("en")}: ${view.outcomeText}`),
      button("Close", () => dialog.close())),
    el("p", { class: "ends" }, view.title),
    el("p", { class: "app-actions" }, ...ways(view)),
    el("div", { id: "app-session" }),
    ...view.reasons.map(reason),
    el("h3", {}, "Facts"),
    el("dl", {}, ...view.facts.flatMap(([name, fact]) => [el("dt", {}, name), el("dd", {}, fact)]), ...view.filters.flatMap(filter)),
    el("h3", {}, "Messages"),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Messages" }, ladder(view.ladder)),
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  get("app-connection-title").focus();
}

// Names with commas between them, each to be pressed where it can be explained.
function names(list) {
  return list.split(", ").flatMap((name, at) => [at > 0 ? ", " : "", state.summaries.has(name) ? nameButton(name) : name]);
}

// Where one may go from a connection.
function ways(view) {
  const others = [["What issued its credential", view.issuer], ["Before it in the session", view.before], ["After it in the session", view.after]];
  const lone = state.captures.length === 1;
  const note = lone ? undefined : "Packets are saved from one capture at a time: open it alone.";
  return [
    ...others.filter(([, place]) => typeof place === "number").map(([label, place]) => button(label, () => openConnection(place))),
    button("Life of the session", () => openSession(view.id)),
    button("Show in the report", () => {
      get("app-connection").close();
      askFor(`number:${view.number}`);
    }),
    button("Save its packets", () => savePackets(view, false), { disabled: !lone, title: note }),
    button("Save the session’s packets", () => savePackets(view, true), { disabled: !lone, title: note }),
  ];
}

function reason(given) {
  const evidence = given.evidence.map(({ frame, text }) => el("li", {}, el("span", { class: "frame" }, `frame ${frame}`), ` ${text}`));
  return el("div", { class: "card" },
    el("h3", {}, nameButton(given.name), el("span", { class: "sure" }, given.sure)),
    el("p", {}, given.summary),
    evidence.length > 0 ? el("ul", { class: "evidence" }, ...evidence) : null,
    el("p", { class: "advice" }, el("strong", {}, "What to do: "), given.advice),
    given.remaining ? el("p", {}, "Not excluded: ", ...names(given.remaining)) : null,
    given.spec ? el("p", { class: "faint" }, given.spec) : null);
}

function filter([capture, text]) {
  const term = capture === null ? "Wireshark" : `Wireshark in ${capture}`;
  return [el("dt", {}, term), el("dd", {}, el("code", { class: "filter" }, text), " ", copyButton(text, "Wireshark filter"))];
}

function ladder(rungs) {
  const lines = rungs.map(({ frame, time, client, text }) => el("tr", { class: client ? "client" : "server" },
    el("th", { scope: "row", class: "frame" }, frame), el("td", {}, time ?? ""), el("td", { class: "text" }, client ? "client →" : "← server"), el("td", { class: "text" }, text)));
  const heads = ["frame", "seconds", "from", "message"].map((title, at) => el("th", { scope: "col", class: at > 1 ? "text" : "" }, title));
  return el("table", { class: "ladder" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...lines));
}

async function openSession(name) {
  const place = get("app-session");
  try {
    place.replaceChildren(el("h3", {}, "Life of the session"), el("pre", { tabindex: "0" }, await ask("session", { name })));
  } catch (error) {
    place.replaceChildren(el("pre", { class: "note", role: "status" }, error.message));
  }
}

async function savePackets(view, sessions) {
  const place = get("app-session");
  try {
    const { count, blob } = await ask("extract", { place: view.place, sessions });
    save(blob, `${sessions ? "session" : "connection"}-${view.id}.pcapng`);
    place.replaceChildren(el("p", { role: "status" }, `${plural(count, "packet", "packets")} saved.`));
  } catch (error) {
    place.replaceChildren(el("p", { class: "note", role: "alert" }, error.message));
  }
}

// A press beside the dialog closes it, as one expects.
for (const id of ["app-connection", "app-explain"]) {
  get(id).addEventListener("click", ({ target, currentTarget }) => {
    if (target === currentTarget) currentTarget.close();
  });
}

// Files in: dropped, chosen, or the sample; how far reading is; and what becomes of it.

const PARTS = ["app-start", "app-working", "app-failed", "app-result"];
let opening = 0;

function show(part) {
  for (const id of PARTS) get(id).hidden = id !== part;
}

// Whether a file is a key log by its beginning: a comment, or a label with hex digits behind it. No capture begins so.
async function isKeyLog(file) {
  const start = await file.slice(0, 64).text();
  return /^(#|\s*[A-Z][A-Z0-9_]+ [0-9a-fA-F]{8})/.test(start);
}

async function sorted(files) {
  const are = await Promise.all(files.map((file) => isKeyLog(file).catch(() => false)));
  return { captures: files.filter((_, at) => !are[at]), keylogs: files.filter((_, at) => are[at]) };
}

// Files by whichever way they came. Key logs alone open what is shown once more, with them.
async function take(list) {
  const files = [...list];
  if (files.length === 0) return;
  const { captures, keylogs } = await sorted(files);
  if (captures.length > 0) return open(captures, keylogs);
  if (state.captures.length > 0) return open(state.captures, [...state.keylogs, ...keylogs]);
  fail("These are key logs: choose a capture with them.");
}

function fail(message) {
  get("app-failure").textContent = message;
  show("app-failed");
  get("app-again").focus();
}

function nameOf(files) {
  const [first, ...others] = files;
  return others.length === 0 ? first.name : `${first.name} and ${others.length} more`;
}

// Shows how far reading is. Every byte before decompression counts.
function watch(size) {
  const began = performance.now();
  let told = 0;
  return (progress) => {
    if (!progress) {
      get("app-progress").removeAttribute("value");
      get("app-amount").textContent = "Judging…";
      get("app-stop").disabled = true;
      return;
    }
    const seconds = (performance.now() - began) / 1e3;
    get("app-progress").value = size > 0 ? progress.bytes / size : 0;
    get("app-amount").textContent =
      `${bytes(progress.bytes)} of ${bytes(size)}, ${plural(progress.packets, "packet", "packets")}, ${seconds.toFixed(0)} s`;
    const tenth = Math.floor((10 * progress.bytes) / size);
    if (tenth > told) say(`${tenth * 10} % read`);
    told = tenth;
  };
}

async function open(captures, keylogs) {
  const turn = (opening += 1);
  Object.assign(state, { captures, keylogs, facets: null });
  const size = captures.reduce((sum, file) => sum + file.size, 0);
  get("app-working-names").textContent = nameOf(captures);
  get("app-amount").textContent = bytes(size);
  get("app-progress").value = 0;
  get("app-stop").disabled = false;
  show("app-working");
  onprogress = watch(size);
  const began = performance.now();
  try {
    await startWorker();
    if (turn !== opening) return;
    const told = await ask("open", { captures, keylogs });
    if (turn !== opening) return;
    if (told.captures === 0) return fail(told.errors.join("\n"));
    await shown(told, size, (performance.now() - began) / 1e3);
  } catch (error) {
    if (turn === opening) fail(error.message);
  }
}

// What there is to say of the inputs before what they show.
function tell(told) {
  const lines = [...told.errors, ...told.damage, ...told.warnings];
  if (told.stopped) lines.unshift("Reading was stopped: this is what had been read by then.");
  if (told.omitted > 0) {
    lines.push(`${plural(told.omitted, "connection is", "connections are")} only counted: a page keeps no more in memory. The command line keeps as many as the machine has room for: reshake analyze --max-memory 8G FILE`);
  }
  get("app-told").replaceChildren(...lines.map((line) => el("p", { class: "note" }, line)));
}

async function shown(told, size, seconds) {
  get("app-names").textContent = nameOf(state.captures);
  const keys = state.keylogs.length === 0 ? "" : `, with ${plural(state.keylogs.length, "key log", "key logs")}`;
  get("app-cost").textContent = `${bytes(size)}, ${plural(told.packets, "packet", "packets")} in ${seconds.toFixed(1)} s, ${bytes(told.memory)} of memory${keys}. Nothing was sent.`;
  tell(told);
  show("app-result");
  resetTools();
  choose("app-tab-report");
  await applyTerms(termsOfAddress());
  get("app-names").focus();
  say(`The report is ready: ${plural(state.facets.connections, "connection", "connections")}`);
}

async function sample() {
  const bytes = await unpacked("app-sample-capture");
  open([new File([bytes], "sample.pcapng")], []);
}

function pick(id) {
  get(id).value = "";
  get(id).click();
}

get("app-choose").addEventListener("click", () => pick("app-files"));
get("app-again").addEventListener("click", () => pick("app-files"));
get("app-other").addEventListener("click", () => pick("app-files"));
get("app-keys").addEventListener("click", () => pick("app-keylog"));
get("app-sample").addEventListener("click", sample);
get("app-stop").addEventListener("click", () => worker?.postMessage({ task: "stop" }));
for (const id of ["app-files", "app-keylog"]) get(id).addEventListener("change", ({ target }) => take(target.files));

// Files may be dropped anywhere.
const bringsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("app-over");
});
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, () => document.body.classList.remove("app-over"));
}
document.addEventListener("drop", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  take(event.dataTransfer.files);
});

// One analysis at a time, each in a worker of its own: what a worker took of memory goes with it.

const state = {
  // Files of the report that is shown or on its way.
  captures: [],
  keylogs: [],
  // What the core knows before any capture.
  catalogue: null,
  summaries: new Map(),
  // Terms of the report that is shown.
  terms: "",
  facets: null,
};

let worker = null;
let waiting = new Map();
let asked = 0;
let module = null;
let onprogress = () => {};
let panic = null;

// What the text of an element stands for: the number of its bytes, and two letters of 91 for every 13 bits.
function lettered(text) {
  const values = new Uint16Array(128);
  let value = 0;
  for (let code = 33; code < 127; code += 1) {
    if (!'"&<'.includes(String.fromCharCode(code))) values[code] = value++;
  }
  const bytes = new Uint8Array(parseInt(text, 10));
  let [at, bits, count] = [0, 0, 0];
  for (let place = text.indexOf(" ") + 1; place < text.length; place += 2) {
    bits |= (values[text.charCodeAt(place)] + 91 * values[text.charCodeAt(place + 1)]) << count;
    for (count += 13; count >= 8 && at < bytes.length; count -= 8, bits >>>= 8) bytes[at++] = bits;
  }
  return bytes;
}

async function unpacked(id) {
  const packed = lettered(get(id).textContent);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Asks the worker for something; the answer comes when it is ready.
function ask(task, given = {}) {
  return new Promise((resolve, reject) => {
    asked += 1;
    waiting.set(asked, { resolve, reject });
    worker.postMessage({ id: asked, task, ...given });
  });
}

// The instance is gone: a page may have so much memory and no more, or there is a mistake in the program.
function lost(message) {
  return panic
    ? `The analysis ended by a mistake in the program, which is worth a report:\n${panic}`
    : `The analysis ended: this capture seems to need more memory than a page may have. The command line has no such limit: reshake analyze FILE\n(${message})`;
}

function heard({ data }) {
  if ("progress" in data) return onprogress(data.progress);
  if (data.panic) return (panic = data.panic);
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if ("answer" in data) return resolve(data.answer);
  if (data.fatal) return end(lost(data.error));
  reject(new Error(data.error));
}

// After this nothing can be asked any more; what waits for an answer goes on waiting, and nobody with it.
function end(message) {
  endWorker();
  fail(message);
}

function endWorker() {
  worker?.terminate();
  worker = null;
  waiting = new Map();
}

async function startWorker() {
  endWorker();
  panic = null;
  module ??= await WebAssembly.compile(await unpacked("app-core"));
  const source = new Blob([await unpacked("app-worker")], { type: "text/javascript" });
  const url = URL.createObjectURL(source);
  worker = new Worker(url);
  worker.onmessage = heard;
  worker.onerror = (event) => {
    event.preventDefault();
    end(lost(event.message));
  };
  state.catalogue = await ask("start", { module });
  URL.revokeObjectURL(url);
  state.summaries = new Map(state.catalogue.entries.map(({ name, summary }) => [name, summary]));
}

// The worker: files in, texts out. It runs the core, which asks for bytes as it needs them, and hears "stop" between
// two steps. In front of this text stands the glue, which defines `wasm_bindgen`.

// Bytes of a file that are read at once. Of many files together not more than `READ_AHEAD`.
const SLICE = 16 << 20;
const READ_AHEAD = 256 << 20;
const LEAST = 1 << 20;

let files = [];
let slices = [];
let pieces = [];
let analysis = null;
let memory = null;
let stopped = false;

// What lies between `offset` and the end of a slice that is read at once. A file that changed on disk throws here.
function sliceAt(input, offset) {
  const held = slices[input];
  if (held && offset >= held.start && offset < held.start + held.bytes.length) return held;
  const length = Math.max(LEAST, Math.min(SLICE, READ_AHEAD / files.length));
  slices[input] = null;
  const part = files[input].slice(offset, offset + length);
  const bytes = new Uint8Array(new FileReaderSync().readAsArrayBuffer(part));
  return (slices[input] = { start: offset, bytes });
}

self.reshakeRead = (input, offset, space) => {
  let slice;
  try {
    slice = sliceAt(input, offset);
  } catch (error) {
    throw `the browser says: ${error.message || error.name}`;
  }
  const from = offset - slice.start;
  const part = slice.bytes.subarray(from, from + space.length);
  space.set(part);
  return part.length;
};
self.reshakeNow = () => performance.now();
self.reshakePiece = (piece) => pieces.push(piece.slice());
self.reshakePanicked = (message) => postMessage({ panic: message });

function written(type) {
  const blob = new Blob(pieces, { type });
  pieces = [];
  return blob;
}

// Reads to the end, or until somebody says stop.
async function readAll(reading) {
  while (reading.read_on()) {
    const [packets, bytes] = reading.progress();
    postMessage({ progress: { packets, bytes } });
    await new Promise((resolve) => setTimeout(resolve));
    if (stopped) return;
  }
}

const TYPES = { html: "text/html", json: "application/json", csv: "text/csv", markdown: "text/markdown", live: "text/html" };

const tasks = {
  start({ module }) {
    memory = wasm_bindgen.initSync({ module }).memory;
    return JSON.parse(wasm_bindgen.catalogue());
  },
  async open({ captures, keylogs }) {
    files = [...captures, ...keylogs];
    slices = files.map(() => null);
    stopped = false;
    const names = (list) => list.map((file) => file.name);
    analysis = new wasm_bindgen.Analysis(names(captures), names(keylogs), Float64Array.from(files, (file) => file.size));
    await readAll(analysis);
    postMessage({ progress: null });
    const told = JSON.parse(analysis.finish());
    slices = files.map(() => null);
    return { ...told, stopped, memory: memory.buffer.byteLength };
  },
  select: ({ terms }) => JSON.parse(analysis.select(terms)),
  async text({ form }) {
    analysis.write(form);
    return written(TYPES[form]).text();
  },
  write({ form, key }) {
    analysis.write(form, key);
    return written(TYPES[form]);
  },
  rows: ({ column, descending, from, count }) => JSON.parse(analysis.rows(column, descending, from, count)),
  connection: ({ place }) => JSON.parse(analysis.connection(place)),
  numbered: ({ number }) => JSON.parse(analysis.numbered(number)),
  session: ({ name }) => analysis.session(name),
  whatIf: ({ backends, balance, share, timeout, rotation }) => analysis.what_if(backends, balance, share, timeout, rotation),
  extract({ place, sessions }) {
    const count = analysis.extract(place, sessions);
    return { count, blob: written("application/octet-stream") };
  },
  async compare({ file }) {
    const first = new Uint8Array(await file.slice(0, 64).arrayBuffer());
    const start = new TextDecoder().decode(first);
    if (start.trimStart().startsWith("{") && !start.includes('"reshake-facts/')) {
      return wasm_bindgen.compare_report(analysis, file.name, new Uint8Array(await file.arrayBuffer()));
    }
    files.push(file);
    slices.push(null);
    stopped = false;
    const other = new wasm_bindgen.Comparison(file.name, files.length - 1, file.size);
    await readAll(other);
    postMessage({ progress: null });
    if (stopped) throw new Error("comparing was stopped");
    return other.finish(analysis);
  },
  explain: ({ name }) => wasm_bindgen.explain(name),
};

onmessage = async ({ data: { id, task, ...given } }) => {
  if (task === "stop") {
    stopped = true;
    return;
  }
  try {
    postMessage({ id, answer: await tasks[task](given) });
  } catch (error) {
    pieces = [];
    const fatal = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    postMessage({ id, error: String(error.message ?? error), fatal });
  }
};

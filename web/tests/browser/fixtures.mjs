// The core without a browser: node fixtures.mjs PLAN runs it over many captures and writes the JSON of each.

import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import vm from "node:vm";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
let files = [];
let pieces = [];

Object.assign(globalThis, {
  reshakeRead: (input, offset, space) => readSync(files[input], space, 0, space.length, offset),
  reshakeNow: () => performance.now(),
  reshakePiece: (piece) => pieces.push(piece.slice()),
  reshakePanicked: (message) => console.error(message),
});
vm.runInThisContext(`${readFileSync(plan.glue, "utf8")}\nglobalThis.wasm_bindgen = wasm_bindgen;`);
globalThis.wasm_bindgen.initSync({ module: new WebAssembly.Module(readFileSync(plan.core)) });

for (const { captures, keylogs, out } of plan.jobs) {
  const paths = [...captures, ...keylogs];
  files = paths.map((path) => openSync(path, "r"));
  pieces = [];
  const analysis = new globalThis.wasm_bindgen.Analysis(captures, keylogs, Float64Array.from(paths, (path) => statSync(path).size));
  while (analysis.read_on());
  const told = JSON.parse(analysis.finish());
  if (told.captures > 0) analysis.write("json");
  analysis.free();
  files.forEach((file) => closeSync(file));
  writeFileSync(out, Buffer.concat(pieces));
}

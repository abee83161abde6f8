// Chromium by its own protocol over two pipes: no package, no port.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";

// Where a page is not there after this, it will not come.
const PATIENCE = 120_000;

export async function chromium(binary, { profile, downloads }) {
  const given = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-dev-shm-usage", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
  ];
  const child = spawn(binary, given, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  // Whatever ends this script ends the browser.
  process.on("exit", () => child.kill());
  const [, , , into, from] = child.stdio;
  let number = 0;
  let rest = "";
  const waiting = new Map();
  const console = [];
  const requests = [];

  function heard(message) {
    if (message.id) {
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      return message.error ? reject(new Error(message.error.message)) : resolve(message.result);
    }
    const { method, params } = message;
    if (method === "Network.requestWillBeSent") requests.push(params.request.url);
    if (method === "Runtime.consoleAPICalled") console.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
    if (method === "Runtime.exceptionThrown") console.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Log.entryAdded") console.push(params.entry.text);
  }
  from.setEncoding("utf8");
  from.on("data", (piece) => {
    rest += piece;
    for (let end = rest.indexOf("\0"); end >= 0; end = rest.indexOf("\0")) {
      heard(JSON.parse(rest.slice(0, end)));
      rest = rest.slice(end + 1);
    }
  });
  child.on("exit", () => waiting.forEach(({ reject }) => reject(new Error("the browser is gone"))));

  let sessionId;
  const send = (method, params = {}) => new Promise((resolve, reject) => {
    number += 1;
    const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), PATIENCE);
    const settle = (done) => (value) => {
      clearTimeout(timer);
      done(value);
    };
    waiting.set(number, { resolve: settle(resolve), reject: settle(reject) });
    into.write(`${JSON.stringify({ id: number, method, params, sessionId })}\0`);
  });

  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  ({ sessionId } = await send("Target.attachToTarget", { targetId, flatten: true }));
  for (const domain of ["Page", "Runtime", "Network", "Log", "DOM"]) await send(`${domain}.enable`);
  await send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });

  // An expression, with its promise waited for.
  async function run(text, { handle = false } = {}) {
    const expression = handle ? text : `(async () => ${text})()`;
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: !handle, userGesture: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return handle ? result.objectId : result.value;
  }

  return {
    name: "Chromium",
    async open(url) {
      await send("Page.navigate", { url });
      await run("new Promise((resolve) => document.readyState === 'complete' ? resolve() : addEventListener('load', () => resolve()))");
    },
    run,
    async chooseFiles(id, files) {
      const objectId = await run(`document.getElementById(${JSON.stringify(id)})`, { handle: true });
      await send("DOM.setFileInputFiles", { objectId, files });
    },
    async key(key) {
      const codes = { Tab: 9, Enter: 13, Escape: 27, ArrowRight: 39, " ": 32 };
      const text = key === "Enter" ? "\r" : undefined;
      const event = { key, code: key, windowsVirtualKeyCode: codes[key], text };
      await send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...event });
      await send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
    },
    async look({ width, height, dark, print }) {
      await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
      const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
      await send("Emulation.setEmulatedMedia", { media: print ? "print" : "", features });
    },
    async screenshot(path, { whole = false } = {}) {
      const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: whole });
      writeFileSync(path, Buffer.from(data, "base64"));
    },
    console: async () => console,
    requests: async () => requests,
    async close() {
      await send("Browser.close").catch(() => {});
      child.kill();
    },
  };
}

// Firefox by Marionette, which is what geckodriver speaks with it: lengths and JSON over a socket.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

const PATIENCE = 120_000;

const preferences = (downloads) => ({
  "marionette.port": 0,
  "browser.download.folderList": 2,
  "browser.download.dir": downloads,
  "browser.download.useDownloadDir": true,
  "browser.download.always_ask_before_handling_new_types": false,
  "browser.download.alwaysOpenPanel": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
  "browser.aboutwelcome.enabled": false,
});

async function portOf(profile) {
  const path = join(profile, "MarionetteActivePort");
  for (let waited = 0; waited < PATIENCE; waited += 50) {
    const port = existsSync(path) && Number(readFileSync(path, "utf8"));
    if (port) return port;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("Firefox does not open its port");
}

export async function firefox(binary, { profile, downloads }) {
  const lines = Object.entries(preferences(downloads)).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
  writeFileSync(join(profile, "user.js"), lines.join("\n"));
  const child = spawn(binary, ["--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", profile, "about:blank"], { stdio: "ignore" });
  // Whatever ends this script ends the browser.
  process.on("exit", () => child.kill());
  const socket = connect(await portOf(profile), "127.0.0.1");
  let number = 0;
  let rest = Buffer.alloc(0);
  const waiting = new Map();
  let greeted;
  const greeting = new Promise((resolve) => (greeted = resolve));
  socket.on("error", () => {});
  socket.on("data", (piece) => {
    rest = Buffer.concat([rest, piece]);
    for (;;) {
      const colon = rest.indexOf(":");
      const length = Number(rest.subarray(0, colon));
      if (colon < 0 || rest.length < colon + 1 + length) return;
      const message = JSON.parse(rest.subarray(colon + 1, colon + 1 + length));
      rest = rest.subarray(colon + 1 + length);
      if (!Array.isArray(message)) greeted();
      else {
        const [, id, error, result] = message;
        const { resolve, reject } = waiting.get(id);
        waiting.delete(id);
        if (error) reject(new Error(error.message));
        else resolve(result);
      }
    }
  });
  const send = (command, given = {}) => new Promise((resolve, reject) => {
    number += 1;
    waiting.set(number, { resolve, reject });
    const text = Buffer.from(JSON.stringify([0, number, command, given]));
    socket.write(Buffer.concat([Buffer.from(`${text.length}:`), text]));
  });
  await greeting;
  await send("WebDriver:NewSession");
  await send("WebDriver:SetTimeouts", { script: PATIENCE, pageLoad: PATIENCE });

  // An expression, with its promise waited for, in the page's own world.
  async function run(expression) {
    const script = `const done = arguments[arguments.length - 1];
      (async () => ${expression})().then((value) => done({ value }), (error) => done({ error: String(error && error.stack || error) }));`;
    const { value } = await send("WebDriver:ExecuteAsyncScript", { script, args: [], sandbox: null, newSandbox: false });
    if (value.error) throw new Error(value.error);
    return value.value;
  }
  // The same in the browser itself, which knows what its console holds.
  async function inside(script) {
    await send("Marionette:SetContext", { value: "chrome" });
    const { value } = await send("WebDriver:ExecuteScript", { script, args: [] });
    await send("Marionette:SetContext", { value: "content" });
    return value;
  }

  return {
    name: "Firefox",
    async open(url) {
      await send("WebDriver:Navigate", { url });
    },
    run,
    async chooseFiles(id, files) {
      // Keys are added to what is chosen.
      await run(`document.getElementById(${JSON.stringify(id)}).value = ""`);
      const { value } = await send("WebDriver:FindElement", { using: "css selector", value: `#${id}` });
      const [element] = Object.values(value);
      await send("WebDriver:ElementSendKeys", { id: element, text: files.join("\n") });
    },
    async key(key) {
      const value = { Tab: "\uE004", Enter: "\uE007", Escape: "\uE00C", ArrowRight: "\uE014", " ": " " }[key];
      const actions = [{ type: "key", id: "keyboard", actions: [{ type: "keyDown", value }, { type: "keyUp", value }] }];
      await send("WebDriver:PerformActions", { actions });
    },
    async look({ width, height, dark }) {
      await send("WebDriver:SetWindowRect", { width, height });
      await inside(`Services.prefs.setIntPref("layout.css.prefers-color-scheme.content-override", ${dark ? 0 : 1});`);
    },
    async screenshot(path, { whole = false } = {}) {
      const { value } = await send("WebDriver:TakeScreenshot", { full: whole });
      writeFileSync(path, Buffer.from(value, "base64"));
    },
    // What is said of the page; the browser has worries of its own.
    console: () => inside(`return Services.console.getMessageArray()
      .filter((message) => message instanceof Ci.nsIScriptError)
      .filter(({ sourceName }) => /reshake|^file:|^blob:/.test(sourceName))
      .map(({ errorMessage, sourceName, lineNumber }) => errorMessage + " " + sourceName.slice(0, 80) + ":" + lineNumber);`),
    requests: null,
    async close() {
      await send("Marionette:Quit", { flags: ["eForceQuit"] }).catch(() => {});
      child.kill();
    },
  };
}

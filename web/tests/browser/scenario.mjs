// What a person does with the page, done in a browser: node scenario.mjs PLAN, where PLAN is a JSON file of the test.
// Each line of the output is a check that held; the first that does not ends with what was seen.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "./chromium.mjs";
import { firefox } from "./firefox.mjs";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const downloads = join(plan.folder, "downloads");
const profile = join(plan.folder, "profile");
for (const folder of [downloads, profile]) mkdirSync(folder, { recursive: true });

// Counts who asks; an answer is not what it is for.
let hits = 0;
const server = createServer((_, response) => {
  hits += 1;
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.end("x");
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.on("listening", resolve));
const outside = `http://127.0.0.1:${server.address().port}/`;

const browser = await { chromium, firefox }[plan.browser](plan.binary, { profile, downloads });
const page = pathToFileURL(plan.page).href;

// Waits in the page for something to hold, by looking at every frame.
const until = (condition) => browser.run(`new Promise((resolve, reject) => {
  const began = performance.now();
  const look = () => {
    if (${condition}) resolve(true);
    else if (performance.now() - began > 60000) reject(new Error(${JSON.stringify(`never: ${condition}`)} + " | " + document.body.innerText.slice(0, 600)));
    else setTimeout(look, 20);
  };
  look();
})`);
const text = (id) => browser.run(`document.getElementById(${JSON.stringify(id)}).textContent`);
const press = (id) => browser.run(`document.getElementById(${JSON.stringify(id)}).click()`);
const visible = (id) => `!document.getElementById("${id}").hidden`;
const settled = `(${visible("app-result")} && document.getElementById("app-report").children.length > 0 || ${visible("app-failed")}) && !${visible("app-working")}`;

async function open(...files) {
  await browser.run(`(document.getElementById("app-report").replaceChildren(), document.getElementById("app-result").hidden = true, document.getElementById("app-failed").hidden = true)`);
  await browser.chooseFiles("app-files", files);
  await until(settled);
}

async function show(terms) {
  await browser.run(`(document.getElementById("app-terms").value = ${JSON.stringify(terms)}, document.getElementById("app-where").requestSubmit())`);
}

// Presses something and reads the file that comes of it.
async function download(pressed, name) {
  const path = join(downloads, name);
  rmSync(path, { force: true });
  await browser.run(pressed);
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (existsSync(path) && !existsSync(`${path}.part`) && !existsSync(`${path}.crdownload`) && statSync(path).size > 0) return readFileSync(path);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} was not saved`);
}

const saveAs = { json: "reshake-report.json", csv: "reshake-connections.csv", markdown: "reshake-report.md", html: "reshake-report.html" };
const saved = (form) => download(`document.querySelector('[data-form="${form}"]').click()`, saveAs[form]);

function same(found, path, what) {
  const expected = readFileSync(path);
  if (found.equals(expected)) return;
  const at = found.findIndex((byte, place) => byte !== expected[place]);
  const near = (bytes) => bytes.subarray(Math.max(0, at - 80), at + 80).toString();
  assert.fail(`${what} differs at byte ${at} (${found.length} and ${expected.length}):\n${near(found)}\n${near(expected)}`);
}

const checks = {
  async "the policy stops every request, and without it they are made"() {
    const tries = `(async () => {
      const seen = [];
      await fetch(${JSON.stringify(outside)}).catch(() => seen.push("fetch"));
      await new Promise((resolve) => Object.assign(new Image(), { onload: resolve, onerror: resolve, src: ${JSON.stringify(`${outside}i`)} }));
      navigator.sendBeacon(${JSON.stringify(`${outside}b`)});
      await new Promise((resolve) => setTimeout(resolve, 300));
      return seen;
    })()`;
    const control = join(plan.folder, "control.html");
    writeFileSync(control, "<!DOCTYPE html><meta charset=utf-8><title>control</title>");
    await browser.open(pathToFileURL(control).href);
    await browser.run(tries);
    assert.ok(hits > 0, "the control made no request");
    hits = 0;
    await browser.open(page);
    assert.deepEqual(await browser.run(tries), ["fetch"]);
    assert.equal(hits, 0);
    // What it complained of was ours.
    (await browser.console()).length = 0;
    plan.complaints = (await browser.console()).length;
    if (browser.requests) (await browser.requests()).length = 0;
    await browser.open(page);
  },

  async "the sample shows a report"() {
    await press("app-sample");
    await until(settled);
    assert.match(await text("app-report"), /session/);
    assert.match(await text("app-cost"), /Nothing was sent/);
    assert.equal(await browser.run("location.hash"), "");
  },

  async "what is saved is what the command writes"() {
    await open(plan.capture);
    for (const form of Object.keys(saveAs)) same(await saved(form), plan.expected[form], form);
  },

  async "a selection stands in the address and narrows what is shown and saved"() {
    await show(plan.terms);
    await until(`location.hash === "#where=${encodeURIComponent(plan.terms)}"`);
    await until(`document.getElementById("app-report").textContent.includes("Selected:")`);
    same(await saved("json"), plan.expected.selected, "the narrowed JSON");
    await show("outcome:nonsense");
    await until(`document.getElementById("app-terms-wrong").textContent !== ""`);
    assert.match(await text("app-terms-wrong"), /nonsense/);
    await browser.run("history.go(-2)");
    await until(`document.getElementById("app-terms").value === "" && document.getElementById("app-clear").disabled`);
    await browser.run(`document.querySelector("#app-facets .app-facet").click()`);
    await until(`location.hash.startsWith("#where=outcome")`);
    await press("app-clear");
    await until(`location.hash === "" && document.getElementById("app-clear").disabled`);
  },

  async "the table turns, sorts and opens a connection"() {
    await press("app-tab-table");
    await until(`document.querySelectorAll("#app-body tr").length > 1`);
    const first = `document.querySelector("#app-body tr th").textContent`;
    assert.equal(await browser.run(first), "1");
    await browser.run(`document.querySelector("#app-head button").click()`);
    await until(`document.querySelector("#app-head th").getAttribute("aria-sort") === "ascending"`);
    await browser.run(`document.querySelector("#app-head button").click()`);
    await until(`${first} === ${JSON.stringify(String(plan.connections))}`);
    await browser.run(`document.querySelector("#app-body button").click()`);
    await until(`document.getElementById("app-connection").open`);
    assert.match(await text("app-connection"), /Facts.*Wireshark.*Messages/);
    await browser.run(`[...document.querySelectorAll("#app-connection button")].find((it) => it.textContent.startsWith("Life")).click()`);
    await until(`document.querySelector("#app-session pre")`);
    assert.match(await text("app-session"), /event/);
    const packets = await download(`[...document.querySelectorAll("#app-connection button")].find((it) => it.textContent === "Save its packets").click()`, plan.expected.packetsName);
    same(packets, plan.expected.packets, "the packets");
    await browser.run(`document.getElementById("app-connection").close()`);
    await press("app-tab-report");
  },

  async "names explain themselves"() {
    await browser.run(`document.querySelector("#app-report .app-name").click()`);
    await until(`document.getElementById("app-explain").open`);
    assert.match(await text("app-explain"), /What to do/);
    await browser.run(`document.getElementById("app-explain").close()`);
  },

  async "another farm is asked about, another capture compared"() {
    await press("app-tab-whatif");
    await browser.run(`document.getElementById("app-farm").requestSubmit()`);
    await until(`/round-robin/.test(document.getElementById("app-farm-answer").textContent)`);
    same(Buffer.from(await text("app-farm-answer")), plan.expected.whatIf, "what if");
    await press("app-tab-compare");
    await browser.chooseFiles("app-compare-file", [plan.other]);
    await until(`document.getElementById("app-compare-answer").textContent.length > 100`);
    same(Buffer.from(await text("app-compare-answer")), plan.expected.diff, "the comparison");
    await press("app-tab-report");
  },

  async "names are replaced where that is asked for"() {
    await press("app-redact");
    const found = (await saved("json")).toString();
    await press("app-redact");
    assert.ok(found.includes('"redacted":true') && !found.includes(plan.secret), "a name is left");
  },

  async "captures become one timeline, and key logs open them"() {
    await open(...plan.several);
    same(await saved("json"), plan.expected.several, "the JSON of several");
    await open(plan.keyed, plan.keylog);
    same(await saved("json"), plan.expected.keyed, "the JSON with keys");
    await open(plan.keyed);
    await browser.run(`document.getElementById("app-report").replaceChildren()`);
    await browser.chooseFiles("app-keylog", [plan.keylog]);
    await until(`${settled} && document.getElementById("app-cost").textContent.includes("with 1 key log")`);
    same(await saved("json"), plan.expected.keyed, "the JSON with keys given later");
  },

  async "foreign files are named, damaged ones shown as far as they go, and another file follows"() {
    await open(plan.foreign);
    assert.match(await text("app-failure"), /is not a capture file/);
    await open(plan.keylog).catch(() => {});
    await open(plan.cut);
    assert.match(await text("app-told"), /ends inside a packet/);
    await open(plan.capture);
    assert.equal(await text("app-told"), "");
  },

  async "reading stops when it is told to, and what was read is shown"() {
    await browser.run(`(() => {
      const amount = document.getElementById("app-amount");
      new MutationObserver((_, observer) => {
        if (!/packet/.test(amount.textContent)) return;
        observer.disconnect();
        document.getElementById("app-stop").click();
      }).observe(amount, { childList: true, characterData: true, subtree: true });
    })()`);
    await open(plan.long);
    assert.match(await text("app-told"), /Reading was stopped/);
    const packets = Number(/([\d,]+) packets/.exec(await text("app-cost"))[1].replaceAll(",", ""));
    assert.ok(packets > 0 && packets < plan.longPackets, `${packets} packets`);
    await open(plan.capture);
  },

  async "files may be dropped"() {
    await browser.run(`(async () => {
      document.getElementById("app-report").replaceChildren();
      const data = new DataTransfer();
      const bytes = Uint8Array.from(atob(${JSON.stringify(readFileSync(plan.capture).toString("base64"))}), (letter) => letter.charCodeAt(0));
      data.items.add(new File([bytes], "dropped.pcapng"));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    })()`);
    await until(`${settled} && document.getElementById("app-names").textContent === "dropped.pcapng"`);
  },

  async "hostile names stay text"() {
    await open(plan.hostile);
    const seen = await browser.run(`({
      markup: document.querySelectorAll("main i, main img, main script").length,
      told: document.getElementById("app-report").textContent.includes("<i>x</i>12"),
      name: document.getElementById("app-names").textContent,
    })`);
    assert.equal(seen.markup, 0);
    assert.ok(seen.told, "the server name is not shown");
    assert.match(seen.name, /<img src=x onerror=alert/);
    await press("app-tab-table");
    await until(`document.querySelectorAll("#app-body tr").length > 0`);
    await browser.run(`document.querySelector("#app-body button").click()`);
    await until(`document.getElementById("app-connection").open`);
    assert.equal(await browser.run(`document.querySelectorAll("main i, dialog i, dialog img").length`), 0);
    await browser.run(`document.getElementById("app-connection").close()`);
    await press("app-tab-report");
  },

  async "a keyboard is enough"() {
    await browser.open(page);
    const focused = "document.activeElement.id";
    const reach = async (id) => {
      for (let step = 0; step < 40 && (await browser.run(focused)) !== id; step += 1) await browser.key("Tab");
      assert.equal(await browser.run(focused), id);
    };
    await reach("app-sample");
    await browser.key("Enter");
    await until(settled);
    assert.equal(await browser.run(focused), "app-names");
    await reach("app-tab-report");
    await browser.key("ArrowRight");
    assert.equal(await browser.run(focused), "app-tab-table");
    await until(`document.querySelectorAll("#app-body tr").length > 1`);
    // Every control has a name that can be said.
    const nameless = await browser.run(`[...document.querySelectorAll("button, input, select, dialog, [role]")].filter((it) => !it.textContent.trim() &&
      !it.getAttribute("aria-label") && !it.getAttribute("aria-labelledby") && !(it.labels && it.labels.length) && !it.hasAttribute("aria-live") && it.role !== "status" && it.role !== "alert").map((it) => it.outerHTML)`);
    assert.deepEqual(nameless, []);
  },

  async "it looks as it should, and nothing stands out at the side"() {
    await open(plan.capture);
    for (const [name, look] of Object.entries({
      wide: { width: 1280, height: 900 },
      phone: { width: 390, height: 844 },
      dark: { width: 1280, height: 900, dark: true },
    })) {
      await browser.look(look);
      for (const tab of ["report", "table"]) {
        await press(`app-tab-${tab}`);
        if (tab === "table") await until(`document.querySelectorAll("#app-body tr").length > 1`);
        await browser.screenshot(join(plan.shots, `${plan.browser}-${name}-${tab}.png`));
        const over = await browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert.ok(over <= 0, `${name} ${tab}: ${over} pixels too wide`);
      }
      await press("app-tab-report");
    }
    await browser.look({ width: 1280, height: 900 });
  },

  async "the console is empty and nothing was asked of anybody"() {
    assert.deepEqual((await browser.console()).slice(plan.complaints), []);
    assert.equal(hits, 0);
    if (browser.requests) {
      const foreign = (await browser.requests()).filter((url) => !/^(file|blob|about|data):/.test(url));
      assert.deepEqual(foreign, []);
    }
    assert.equal(await browser.run(`document.cookie + Object.keys(localStorage).length + Object.keys(sessionStorage).length`), "00");
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  if (plan.only && !name.includes(plan.only)) continue;
  const began = Date.now();
  try {
    await check();
    console.log(`ok ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name}\n${error.stack}`);
    break;
  }
}
if (failed) console.log((await browser.console()).join("\n"));
await browser.close();
server.close();
process.exit(failed);

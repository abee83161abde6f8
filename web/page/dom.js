// Elements out of texts: whatever comes from a capture becomes a text node or an attribute that holds no code.

const get = (id) => document.getElementById(id);

function el(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const button = (label, onclick, given = {}) => el("button", { type: "button", onclick, ...given }, label);

const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

function bytes(count) {
  if (count < 1e3) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let unit = -1;
  let value = count;
  do {
    value /= 1e3;
    unit += 1;
  } while (value >= 999.5 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ${units[unit]}`;
}

// Said to whoever listens to the page instead of looking at it.
function say(text) {
  get("app-status").textContent = text;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without leave to use the clipboard the old way still works.
    const area = el("textarea", { class: "app-hidden" });
    area.value = text;
    const home = document.querySelector("dialog[open]") ?? document.body;
    home.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function copyButton(text, what) {
  const copying = button("Copy", async () => {
    await copy(text);
    copying.textContent = "Copied";
    say(`${what} copied`);
    setTimeout(() => (copying.textContent = "Copy"), 1500);
  }, { class: "app-small", "aria-label": `Copy ${what}` });
  return copying;
}

function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${name} saved`);
}

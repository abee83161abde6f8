// Other farms, another capture, and files to hand on.

function resetTools() {
  for (const id of ["app-farm-answer", "app-compare-answer"]) get(id).textContent = "";
  get("app-connection").close();
  get("app-explain").close();
}

const NAMES = { html: "reshake-report.html", json: "reshake-report.json", csv: "reshake-connections.csv", markdown: "reshake-report.md" };
const KEY_BYTES = 32;

async function saveReport(form) {
  const key = get("app-redact").checked ? crypto.getRandomValues(new Uint8Array(KEY_BYTES)) : undefined;
  try {
    save(await ask("write", { form, key }), NAMES[form]);
  } catch (error) {
    say(error.message);
  }
}

get("app-farm").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = get("app-farm-answer");
  const number = (id) => Number(get(id).value) || 0;
  answer.textContent = "Replaying…";
  try {
    answer.textContent = await ask("whatIf", {
      backends: number("app-backends"),
      balance: get("app-balance").value,
      share: get("app-share").value,
      timeout: number("app-timeout"),
      rotation: number("app-rotation"),
    });
  } catch (error) {
    answer.textContent = error.message;
  }
});

get("app-compare-choose").addEventListener("click", () => pick("app-compare-file"));
get("app-compare-file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  const answer = get("app-compare-answer");
  onprogress = (progress) => {
    answer.textContent = progress ? `${bytes(progress.bytes)} of ${bytes(file.size)}` : "Judging…";
  };
  try {
    answer.textContent = await ask("compare", { file });
  } catch (error) {
    answer.textContent = error.message;
  }
});

for (const saving of document.querySelectorAll("[data-form]")) {
  saving.addEventListener("click", () => saveReport(saving.dataset.form));
}

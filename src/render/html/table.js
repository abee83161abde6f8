
"use strict";
(function () {
  const table = document.getElementById("ranking");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const box = document.createElement("p");
  box.className = "filter-box";
  const label = document.createElement("label");
  label.textContent = "Filter: ";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "name, address or problem";
  const said = document.createElement("span");
  said.className = "faint";
  said.setAttribute("aria-live", "polite");
  label.append(field);
  box.append(label, said);
  table.parentNode.before(box);
  field.addEventListener("input", function () {
    const words = field.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(function (word) { return text.includes(word); });
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = " " + shown + " of " + rows.length;
  });
  function figure(row, column) {
    const found = row.cells[column].textContent.replace(/,/g, "").match(/^[\d.]+/);
    return found ? Number(found[0]) : -1;
  }
  Array.from(table.tHead.rows[0].cells).forEach(function (cell, column) {
    const isText = cell.classList.contains("text");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    cell.replaceChildren(button);
    button.addEventListener("click", function () {
      const down = cell.getAttribute("aria-sort") !== (isText ? "ascending" : "descending");
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      const up = isText ? down : !down;
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sorted = rows.slice().sort(function (a, b) {
        const order = isText
          ? a.cells[column].textContent.localeCompare(b.cells[column].textContent)
          : figure(a, column) - figure(b, column);
        return up ? order : -order;
      });
      body.append.apply(body, sorted);
    });
  });
})();

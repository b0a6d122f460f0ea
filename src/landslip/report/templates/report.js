"use strict";
// Tables sort by a button in each head: numbers by value, words by alphabet, cells without a figure last.
document.querySelectorAll("table[data-sortable]").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  const key = (row, column) => row.cells[column].dataset.sort;
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  heads.forEach((head, column) => {
    const words = head.classList.contains("word");
    const steps = words ? ["ascending", "descending", null] : ["descending", "ascending", null];
    head.querySelector("button").addEventListener("click", () => {
      const next = steps[(steps.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      let rows = original;
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const known = original.filter((row) => key(row, column) !== undefined);
        known.sort((a, b) => sign * compare(key(a, column), key(b, column)));
        rows = known.concat(original.filter((row) => key(row, column) === undefined));
      }
      body.append(...rows);
      const name = head.querySelector("button").textContent.trim();
      document.getElementById("sorted").textContent = next ? `Sorted by ${name}, ${next}` : "In the original order";
    });
  });
});
// What is folded away on the screen belongs on paper.
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((one) => {
    one.dataset.was = one.open;
    one.open = true;
  });
});
addEventListener("afterprint", () => {
  document.querySelectorAll("details").forEach((one) => {
    one.open = one.dataset.was === "true";
  });
});

"use strict";
(() => {
  const table = document.getElementById("columns");
  if (table === null) return;
  const body = table.tBodies[0];
  document.getElementById("tools").hidden = false;

  const key = (row, at) => {
    const cell = row.cells[at];
    return cell.dataset.v === undefined ? cell.textContent.toLowerCase() : Number(cell.dataset.v);
  };
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    if (head.textContent === "distribution") return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (one, other) => {
        const [a, b] = [key(one, at), key(other, at)];
        return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
      };
      body.append(...[...body.rows].sort(order));
    });
  });

  const filter = document.getElementById("filter");
  const only = document.getElementById("only");
  const apply = () => {
    const wanted = filter.value.toLowerCase();
    for (const row of body.rows) {
      const named = row.cells[0].textContent.toLowerCase().includes(wanted);
      row.hidden = !named || (only.checked && !row.classList.contains("drifted"));
    }
  };
  filter.addEventListener("input", apply);
  only.addEventListener("change", apply);

  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });
  const shown = (value, scale) =>
    scale === "time" ? new Date(value / 1000).toISOString().slice(0, 16).replace("T", " ") : number(value);
  const share = (hundredths) => `${(hundredths / 100).toFixed(1)} %`;
  for (const chart of document.querySelectorAll("svg[data-ends]")) {
    const { scale } = chart.dataset;
    const [low, high] = chart.dataset.ends.split(",").map(Number);
    const [before, after] = [chart.dataset.before, chart.dataset.after].map((side) => side.split(",").map(Number));
    const edge = (part) => (scale === "log" ? low * (high / low) ** part : low + (high - low) * part);
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const at = Math.floor(((event.clientX - box.left) / box.width) * before.length);
      if (!(at in before)) return;
      const [left, right] = [edge(at / before.length), edge((at + 1) / before.length)];
      tip.textContent = `${shown(left, scale)} – ${shown(right, scale)}: ${share(before[at])} → ${share(after[at])}`;
      tip.hidden = false;
      const x = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
      tip.style.cssText = `left:${x}px;top:${event.clientY + 16}px`;
    });
    chart.addEventListener("pointerleave", () => { tip.hidden = true; });
  }
})();

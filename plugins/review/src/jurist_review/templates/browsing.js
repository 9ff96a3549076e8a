"use strict";
{
  const SIZE = 25;
  const KINDS = {1: "del", 2: "ins"};

  const made = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };

  // Every text of a run is put in as text, never as markup.
  const opened = (sections) => {
    const cell = made("td");
    cell.colSpan = 4;
    const columns = made("div", undefined, "columns fit");
    for (const [heading, ...pieces] of sections) {
      const part = made("div");
      const passage = made("div", undefined, "passage");
      passage.dir = "auto";
      for (const piece of pieces) {
        passage.append(typeof piece === "string" ? piece : made(KINDS[piece[0]], piece[1]));
      }
      part.append(made("b", heading), passage);
      columns.append(part);
    }
    cell.append(columns);
    const line = made("tr", undefined, "opened");
    line.append(cell);
    return line;
  };

  const rowOf = (data, number) => {
    const [prompt, outcome, tags, value] = data.rows[number];
    const line = made("tr");
    const head = made("th");
    head.scope = "row";
    const sections = data.details[number];
    if (sections) {
      const button = made("button", prompt, "opens");
      button.type = "button";
      button.dir = "auto";
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => {
        const open = button.getAttribute("aria-expanded") === "true";
        button.setAttribute("aria-expanded", String(!open));
        if (open) line.nextSibling.remove();
        else line.after(opened(sections));
      });
      head.append(button);
    } else {
      head.textContent = prompt;
      head.dir = "auto";
    }
    const names = tags.map((tag) => data.tags[tag]).join(", ");
    line.append(head, made("td", data.outcomes[outcome]), made("td", names), made("td", value, "num"));
    return line;
  };

  const browse = (box) => {
    const data = JSON.parse(box.querySelector("script").textContent);
    const part = (name) => box.querySelector(`[data-part=${name}]`);
    const body = box.querySelector("tbody");
    let found = [];
    let start = 0;

    const show = () => {
      const end = Math.min(start + SIZE, found.length);
      body.replaceChildren(...found.slice(start, end).map((number) => rowOf(data, number)));
      const total = found.length.toLocaleString("en");
      part("status").textContent = found.length ? `${start + 1}–${end} of ${total}` : `no ${box.dataset.noun}`;
      part("previous").disabled = start === 0;
      part("next").disabled = end >= found.length;
    };

    const filter = () => {
      const chosen = (name) => (part(name)?.value ? Number(part(name).value) : null);
      const outcome = chosen("outcome");
      const tag = chosen("tag");
      const words = part("words").value.toLocaleLowerCase();
      found = [];
      data.rows.forEach((row, number) => {
        if (outcome !== null && row[1] !== outcome) return;
        if (tag !== null && !row[2].includes(tag)) return;
        // The row has the beginning of its prompt; what is opened has more of it, as its first section.
        const [, prompt = ""] = data.details[number]?.[0] ?? [];
        if (words && !`${row[0]}\n${prompt}`.toLocaleLowerCase().includes(words)) return;
        found.push(number);
      });
      start = 0;
      show();
    };

    const turn = (rows) => {
      start += rows;
      show();
    };
    for (const name of ["outcome", "tag", "words"]) part(name)?.addEventListener("input", filter);
    part("previous").addEventListener("click", () => turn(-SIZE));
    part("next").addEventListener("click", () => turn(SIZE));
    for (const hidden of box.querySelectorAll("[hidden]")) hidden.hidden = false;
    filter();
  };

  for (const box of document.querySelectorAll(".browser")) browse(box);
}

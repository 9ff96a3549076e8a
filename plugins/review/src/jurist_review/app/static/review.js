// Votes without leaving the page: the forms work without this, with a page load for each vote.
const said = document.getElementById("said");
const tab = (sessionStorage.tab ??= Math.random().toString(36).slice(2));
let busy = false;

function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const main = page.querySelector("main");
  if (!main) {
    said.textContent = html;
    return;
  }
  document.querySelector("main").replaceWith(document.adoptNode(main));
  document.querySelector("header").replaceWith(document.adoptNode(page.querySelector("header")));
  document.title = page.title;
  said.textContent = page.getElementById("said").textContent;
  prepare();
  document.querySelector("main h1").focus({ preventScroll: true });
  scrollTo(0, 0);
}

async function send(form, button) {
  if (busy) return;
  busy = true;
  said.textContent = "Saving …";
  const body = new URLSearchParams(new FormData(form));
  body.set(button.name, button.value);
  body.set("tab", tab);
  try {
    const answer = await fetch("/review", { method: "POST", body });
    show(await answer.text());
  } catch {
    said.textContent = "Not saved: the server does not answer. Once it runs again, press the same key again.";
  } finally {
    busy = false;
  }
}

function prepare() {
  const shortcuts = document.getElementById("shortcuts");
  if (shortcuts) shortcuts.checked = localStorage.shortcuts !== "off";
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("#vote, #undo") || !event.submitter) return;
  event.preventDefault();
  send(event.target, event.submitter);
});

// A note that was written and not kept is lost with the page: the browser asks before.
addEventListener("beforeunload", (event) => {
  const note = document.getElementById("note");
  if (note && note.value !== note.defaultValue) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.id === "shortcuts") localStorage.shortcuts = event.target.checked ? "on" : "off";
});

// What was pressed; where a layout or an input method gives no Latin letter, by the place of the key.
function keyOf(event) {
  const isLatin = /^[ -~]$/.test(event.key) || !event.code.startsWith("Key");
  return (isLatin ? event.key : event.code.slice("Key".length)).toLowerCase();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || localStorage.shortcuts === "off") return;
  if (event.target.matches("textarea, select, input:not([type=checkbox])")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const wanted = document.querySelector(`[data-key="${CSS.escape(keyOf(event))}"]`);
  if (!wanted) return;
  event.preventDefault();
  if (wanted.tagName === "TEXTAREA") wanted.focus();
  else wanted.click();
});

document.addEventListener("replaced", prepare);
prepare();

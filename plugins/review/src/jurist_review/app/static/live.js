// Keeps the page up to date: asks every two seconds, and changes it only where something changed.
const EVERY = 2000;
const pause = document.getElementById("pause");
const stale = document.getElementById("stale");
let known = "";
let paused = false;

// What an element is called, in this page and in the next.
const nameOf = (element) => element.getAttribute("href") ?? element.getAttribute("aria-label");

async function update() {
  try {
    const answer = await fetch(location.href, { headers: known ? { "If-None-Match": known } : {} });
    if (answer.status === 200) {
      known = answer.headers.get("ETag");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const before = document.getElementById("live");
      const after = document.adoptNode(page.getElementById("live"));
      document.querySelector("h1").replaceWith(document.adoptNode(page.querySelector("h1")));
      const focused = before.contains(document.activeElement) ? nameOf(document.activeElement) : null;
      const scrolled = new Map([...before.querySelectorAll(".wide")].map((each) => [nameOf(each), each.scrollLeft]));
      before.replaceWith(after);
      for (const each of after.querySelectorAll("a, [tabindex]")) {
        if (nameOf(each) === focused) each.focus({ preventScroll: true });
        if (scrolled.has(nameOf(each))) each.scrollLeft = scrolled.get(nameOf(each));
      }
    }
    if (answer.status === 401) stale.textContent = "The server was started anew: open the address that it printed.";
    else if (answer.status >= 400) stale.textContent = "The run cannot be shown right now; this is what it was last.";
    else stale.textContent = "";
  } catch {
    stale.textContent = "The server does not answer; this is what it said last.";
  }
}

async function loop() {
  if (!paused && !document.hidden) await update();
  setTimeout(loop, EVERY);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on updating" : "Pause updates";
});
setTimeout(loop, EVERY);

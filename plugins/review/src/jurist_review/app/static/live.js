// Keeps the page up to date: asks every two seconds, and changes it only where something changed.
const EVERY = 2000;
const pause = document.getElementById("pause");
const stale = document.getElementById("stale");
let known = "";
let paused = false;

async function update() {
  try {
    const answer = await fetch(location.href, { headers: known ? { "If-None-Match": known } : {} });
    if (answer.status === 200) {
      known = answer.headers.get("ETag");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const place of ["#live", "h1"]) {
        document.querySelector(place).replaceWith(document.adoptNode(page.querySelector(place)));
      }
    }
    stale.textContent = answer.status < 400 ? "" : "The server was started anew: open the address that it printed.";
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

// Looks again every two seconds while the page waits for something; without scripts there is a link for that.
const EVERY = 2000;

async function look() {
  try {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const main = page.querySelector("main");
    if (!main) return;
    document.querySelector("main").replaceWith(document.adoptNode(main));
    document.dispatchEvent(new Event("replaced"));
  } catch {
    // The server does not answer: what it said last stays.
  }
}

async function loop() {
  if (document.querySelector("[data-waiting]")) await look();
  setTimeout(loop, EVERY);
}

setTimeout(loop, EVERY);

// Looks again every two seconds while the page waits for something; without scripts there is a link for that.
const EVERY = 2000;

async function look() {
  if (!document.querySelector("[data-waiting]")) return;
  try {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const main = page.querySelector("main");
    if (main) document.querySelector("main").replaceWith(document.adoptNode(main));
  } catch {
    // The server does not answer: what it said last stays.
  }
  setTimeout(look, EVERY);
}

setTimeout(look, EVERY);

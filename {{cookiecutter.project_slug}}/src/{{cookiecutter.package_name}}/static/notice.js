/**
 * In development only, on the page that tells why the code cannot be loaded: goes on to what comes
 * after it. It asks before it does so, since a browser that finds nobody shows a page of its own,
 * and most of them stay there.
 */

const EVERY_MS = 1000;
const said = document.querySelector("pre").textContent;

async function look() {
  const response = await fetch(location.href, { cache: "no-store" });
  const now = new DOMParser().parseFromString(await response.text(), "text/html");
  if (now.querySelector("pre")?.textContent !== said) location.reload();
}

setInterval(() => look().catch(() => {}), EVERY_MS); // nobody is there yet

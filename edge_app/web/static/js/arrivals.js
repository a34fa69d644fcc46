// What came over the network, kept up to date while the page is seen and nobody reads with the keyboard;
// and studies that are asked for from the archive.

const EVERY_MS = 3000;

const replace = (page, selector) => {
  const newer = page.querySelector(selector);
  if (newer) document.querySelector(selector)?.replaceWith(newer);
};

const load = async (address, options) => {
  const answer = await fetch(address, options).catch(() => null);
  return answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
};

const refresh = async () => {
  const shown = document.getElementById("arrivals");
  if (document.hidden || shown.contains(document.activeElement)) return;
  const address = new URL(location.href);
  address.searchParams.delete("test"); // a test is made when it is asked for, not with each look
  const page = await load(address);
  if (!page) return;
  const place = shown.querySelector(".scroller")?.scrollTop ?? 0;
  replace(page, "#arrivals");
  replace(page, "#way-back");
  document.querySelector("#arrivals .scroller")?.scrollTo(0, place);
};

// Sent from here, since a browser sends a plain form without its origin where no referrer is told.
document.querySelector("main").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form));
  if (event.submitter?.name) body.set(event.submitter.name, event.submitter.value);
  const page = await load(form.action, { method: "POST", body });
  if (page) for (const selector of ["#library", "#arrivals"]) replace(page, selector);
});

setInterval(refresh, EVERY_MS);

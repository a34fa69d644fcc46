// What came over the network, kept up to date while the page is seen and nobody reads with the keyboard.

const EVERY_MS = 3000;

const refresh = async () => {
  const shown = document.getElementById("arrivals");
  if (document.hidden || shown.contains(document.activeElement)) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const place = shown.querySelector(".scroller")?.scrollTop ?? 0;
  shown.replaceWith(page.getElementById("arrivals"));
  document.querySelector("#arrivals .scroller")?.scrollTo(0, place);
};

setInterval(refresh, EVERY_MS);

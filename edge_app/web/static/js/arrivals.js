// What came over the network, kept up to date while the page is seen and nobody reads with the keyboard.

const EVERY_MS = 3000;

const refresh = async () => {
  const shown = document.getElementById("arrivals");
  if (document.hidden || shown.contains(document.activeElement)) return;
  const address = new URL(location.href);
  address.searchParams.delete("test"); // a test is made when it is asked for, not with each look
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const place = shown.querySelector(".scroller")?.scrollTop ?? 0;
  shown.replaceWith(page.getElementById("arrivals"));
  document.querySelector("#arrivals .scroller")?.scrollTo(0, place);
};

setInterval(refresh, EVERY_MS);

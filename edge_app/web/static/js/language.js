// Another language: on a page that holds nothing, simply by its address.

export const addressIn = (language) => {
  const address = new URL(location.href);
  address.searchParams.set("lang", language);
  return address;
};

const choice = document.getElementById("language");
if (!document.getElementById("main")?.dataset.minutes) {
  choice.addEventListener("change", () => location.assign(addressIn(choice.value)));
}

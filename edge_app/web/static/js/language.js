// The pages that hold nothing: another language by their address alone, and print.

export const addressIn = (language) => {
  const address = new URL(location.href);
  address.searchParams.set("lang", language);
  return address;
};

const choice = document.getElementById("language");
if (!document.getElementById("main")?.dataset.minutes) {
  choice.addEventListener("change", () => location.assign(addressIn(choice.value)));
  document.getElementById("print")?.addEventListener("click", () => window.print());
}

// The page's words, and numbers, in the page's language.

export const word = (name, values = {}) => {
  const text = document.getElementById("words").content.querySelector(`[data-word="${CSS.escape(name)}"]`)?.textContent;
  return text?.trim().replace(/\{(\w+)\}/g, (_, key) => values[key]);
};

export const language = () => document.documentElement.lang;

export const number = (value, options = {}) => new Intl.NumberFormat(language(), options).format(value);

// Never 0 % or 100 %: the model is never that sure.
export function percent(share, digits = 0) {
  const text = (value) => number(value, {
    style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
  const least = 0.1 ** (digits + 2);
  if (share < least) return `<${text(least)}`;
  return share > 1 - least ? `>${text(1 - least)}` : text(share);
}

// As few digits as tell the probability from the threshold.
export function percents(probability, threshold) {
  const digits = [0, 1, 2, 3].find((n) => percent(probability, n) !== percent(threshold, n)) ?? 4;
  return { probability: percent(probability, digits), threshold: percent(threshold, digits) };
}

// Figures in words.

export const figure = (count) => count.toLocaleString("en-US");

/** A share in percent; cut rather than rounded, since 100 % is said of what is equal alone. */
export function percent(share) {
  const tenths = Math.floor(Math.round(share * 1e6) / 1e3) / 10;
  return `${tenths < 10 || (tenths > 99 && tenths < 100) ? tenths.toFixed(1) : Math.floor(tenths)} %`;
}

export function counted(count, one, many = `${one}s`) {
  return `${figure(count)} ${count === 1 ? one : many}`;
}

export function minutes(count) {
  if (count < 1) {
    return "a minute";
  }
  return count < 90 ? counted(Math.round(count), "minute") : counted(Math.round(count / 60), "hour");
}

export function kilobytes(bytes) {
  return bytes < 1_000_000 ? `${figure(Math.round(bytes / 1_000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** What an image is called: its class, or its classes. */
export const namesOf = (item) => (item.labels ? item.labels.join(", ") : item.label) || "nothing";

/** Decisions whose own word says little. */
export const WORDS = { mark: "as marked" };

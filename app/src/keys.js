// Which key does what, once: the screens act by it, and the help lists it.

const everywhere = [
  ["?", "this help", (desk) => desk.toggle("help")],
  ["Escape", "back", (desk) => desk.leave()],
];

const moves = [
  ["ArrowRight", "next", (desk) => desk.run.move(1)],
  ["ArrowLeft", "previous", (desk) => desk.run.move(-1)],
  ["z", "undo the last decision", (desk) => desk.undo()],
  ["o", "show in the grid of samples", (desk) => desk.showInGrid()],
];

const labels = [
  ["Enter", "accept the suggestion", (desk) => desk.decide("accept")],
  ["a", "accept the suggestion", (desk) => desk.decide("accept")],
  ["k", "keep the label as it is", (desk) => desk.decide("keep")],
  ["u", "unsure", (desk) => desk.decide("unsure")],
  ["/", "choose another class", (desk) => desk.meant.length && desk.toggle("filter")],
  ["g", "grid, and back", (desk) => desk.toggle("grid")],
];

const sets = [
  ["Enter", "decide as shown", (desk) => desk.decideSet()],
  ["a", "accept all suggestions", (desk) => desk.decide("accept")],
  ["k", "keep the labels as they are", (desk) => desk.decide("keep")],
  ["u", "unsure", (desk) => desk.decide("unsure")],
  ["/", "add or remove another class", (desk) => !desk.grid && desk.run.item && desk.toggle("filter")],
  ["g", "grid, and back", (desk) => desk.toggle("grid")],
];

const groups = [
  ["Enter", "decide as shown", (desk) => desk.decideGroup("mark")],
  ["d", "not duplicates", (desk) => desk.decideGroup("apart")],
  ["s", "keep all of them", (desk) => desk.decideGroup("keep all")],
  ["u", "unsure", (desk) => desk.decideGroup("unsure")],
  ["p", "apply what was marked", (desk) => desk.show("apply")],
];

const grid = [
  ["x", "select, or not", (desk) => desk.selectHere()],
  ["Shift + arrows", "select several", null],
  ["e", "select all that wait", (desk) => desk.selectAll()],
];

const cells = [
  ["ArrowDown", "the next cell", (desk) => desk.strideCells(1)],
  ["ArrowUp", "the cell before", (desk) => desk.strideCells(-1)],
  ["Enter", "review that cell", (desk) => desk.openCell()],
];

const start = [["1 … 5", "open that queue", null]];

const digits = {
  labels: "set the class with that number",
  sets: "make that change, or not",
  groups: "keep or remove that image",
};

/** The keys of a screen as `[key, what it does, action]`; an action of null is told, and done elsewhere. */
export function keysOf(screen, family, isGrid) {
  if (screen !== "review") {
    return [...({ cells, start }[screen] ?? []), ...everywhere];
  }
  const own = { labels, sets, groups }[family];
  return [...own, ["1 … 9", digits[family], null], ...moves, ...(isGrid ? grid : []), ...everywhere];
}

/** Act on a key of the review screen that stands in the list; return whether it did. */
export function press(desk, key, list) {
  const name = key.length === 1 ? key.toLowerCase() : key;
  const action = list.find(([each]) => each === name)?.[2];
  action?.(desk);
  return Boolean(action);
}

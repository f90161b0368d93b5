// An image that may have several labels: what it is called, and what is suggested to be added or removed.
import { Button } from "./Button.jsx";
import { React } from "./react.js";
import { percent } from "./words.js";

const DIGITS = 9;
const WORDS = { add: ["Add", "Leave out"], remove: ["Remove", "Keep"] }; // made, and not made

/** The changes of an image's labels that may be made: the suggested ones, then those that the reviewer asked for. */
export function changesOf(desk, item) {
  const suggested = item.changes.map((change) => change.label);
  const asked = Object.keys(desk.marksOf(item)).filter((label) => !suggested.includes(label));
  const own = asked.map((label) => ({ label, change: item.labels.includes(label) ? "remove" : "add", confidence: null }));
  return [...item.changes, ...own];
}

export function Changes({ desk, item }) {
  const marks = desk.marksOf(item);
  return (
    <ul className="w-changes" aria-label="Changes">
      {changesOf(desk, item).map(({ label, change, confidence }, index) => (
        <li key={label} className={marks[label] === "accept" ? "" : "w-faded"} data-mark={marks[label]}>
          <Button
            keyCap={index < DIGITS ? index + 1 : null}
            aria-pressed={marks[label] === "accept"}
            onClick={() => desk.toggleChange(label)}
          >
            {WORDS[change][marks[label] === "accept" ? 0 : 1]} <b className="w-suggested">{label}</b>
          </Button>
          {confidence !== null && <small>{percent(confidence)} sure</small>}
        </li>
      ))}
    </ul>
  );
}

export function SetChoices({ desk }) {
  const { run, meant } = desk;
  const marks = run.item ? desk.marksOf(run.item) : {};
  const some = Object.keys(marks).length > 0;
  return (
    <>
      <Button keyCap="Enter" kind="w-strong" disabled={!some} onClick={() => desk.decideSet()}>
        As shown
      </Button>
      <Button keyCap="A" disabled={!meant.length} onClick={() => desk.decide("accept")}>
        Accept all
      </Button>
      <Button keyCap="K" disabled={!meant.length} onClick={() => desk.decide("keep")}>
        Keep the labels
      </Button>
      <Button keyCap="U" disabled={!meant.length} onClick={() => desk.decide("unsure")}>
        Unsure
      </Button>
      <Button keyCap="/" disabled={!run.item || desk.grid} onClick={() => desk.toggle("filter")}>
        Another class
      </Button>
    </>
  );
}

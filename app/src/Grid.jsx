// Many labels at once, a window of the queue at a time.
import { Picture } from "./Picture.jsx";
import { React, useEffect, useRef, useState } from "./react.js";
import { isOpen } from "./run.js";
import { namesOf, WORDS } from "./words.js";

const SHOWN = 60;
const TILE = 148; // pixels, as in the style sheet, its gap included

export function Grid({ desk }) {
  const { run } = desk;
  const box = useRef(null);
  const [columns, setColumns] = useState(1);
  useEffect(() => {
    const measure = () => setColumns(Math.max(1, Math.floor(box.current.clientWidth / TILE)));
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    measure();
    return () => observer.disconnect();
  }, []);
  const from = Math.floor(Math.min(run.at, run.items.length - 1) / SHOWN) * SHOWN;
  useEffect(() => {
    box.current.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }, [run.at]);
  const onClick = (event, index) => {
    if (event.shiftKey) {
      desk.stride(index - run.at, true);
    } else {
      run.goTo(index);
      desk.selectHere();
    }
  };
  return (
    <div
      className="w-grid"
      ref={box}
      data-columns={columns}
      style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}
      role="listbox"
      aria-label="Images"
      aria-multiselectable="true"
    >
      {run.items.slice(from, from + SHOWN).map((item, index) => (
        <figure
          key={item.key}
          role="option"
          className={isOpen(item) ? "" : "w-faded"}
          aria-current={from + index === run.at}
          aria-selected={run.selected.has(item.key)}
          onMouseDown={(event) => event.preventDefault()}
          onClick={(event) => onClick(event, from + index)}
        >
          <Picture path={item.image} label={`Image labelled ${namesOf(item)}`} imageOf={desk.imageOf} box={item.box} />
          <figcaption>{captionOf(item)}</figcaption>
        </figure>
      ))}
    </div>
  );
}

function captionOf(item) {
  if (item.mine) {
    return item.mine.label ? `→ ${item.mine.label}` : WORDS[item.mine.decision] ?? item.mine.decision;
  }
  if (item.changes) {
    return item.changes.map(({ label, change }) => `${change === "add" ? "+" : "−"} ${label}`).join(", ");
  }
  return item.suggested ? `${item.label} → ${item.suggested}` : item.label;
}

// Choosing a class by typing a part of its name.
import { React, useState } from "./react.js";

const SHOWN = 12;

export function ClassFilter({ desk }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const found = matching(desk.classes, text).slice(0, SHOWN);
  const onKeyDown = (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && found[at] !== undefined) {
      desk.pick(found[at]);
    } else if (event.key === "Escape") {
      desk.toggle("filter");
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setAt(Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), found.length - 1));
    } else {
      return;
    }
    event.preventDefault();
  };
  const onChange = (event) => {
    setText(event.target.value);
    setAt(0);
  };
  return (
    <div className="w-filter" role="dialog" aria-label="Choose a class">
      <input autoFocus value={text} placeholder="Class" aria-label="Class" onChange={onChange} onKeyDown={onKeyDown} />
      <ul role="listbox" aria-label="Classes">
        {found.map((name, index) => (
          <li key={name} role="option" aria-selected={index === at} onMouseDown={() => desk.pick(name)}>
            {name}
          </li>
        ))}
        {!found.length && <li className="w-muted">No class of this name</li>}
      </ul>
    </div>
  );
}

/** The classes that hold a text, those that begin with it first. */
function matching(classes, text) {
  const wanted = text.trim().toLowerCase();
  const held = classes.filter((name) => name.toLowerCase().includes(wanted));
  const begins = (name) => name.toLowerCase().startsWith(wanted);
  return [...held.filter(begins), ...held.filter((name) => !begins(name))];
}

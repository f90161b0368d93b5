// All keys of the screen that is open.
import { React } from "./react.js";

const CAPS = { ArrowRight: "→", ArrowLeft: "←", ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };

export function Help({ desk, keys }) {
  return (
    <div className="w-help" role="dialog" aria-label="Keys" onClick={() => desk.toggle("help")}>
      <div>
        <h2>Keys</h2>
        <dl>
          {keys.map(([key, what]) => (
            <React.Fragment key={key}>
              <dt>
                <kbd>{CAPS[key] ?? (key.length === 1 ? key.toUpperCase() : key)}</kbd>
              </dt>
              <dd>{what}</dd>
            </React.Fragment>
          ))}
        </dl>
        <p className="w-muted">Any key closes this.</p>
      </div>
    </div>
  );
}

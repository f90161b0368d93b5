// The confusion matrix as a list of its cells, the largest first, and as a picture where it is small enough.
import { Button } from "./Button.jsx";
import { React, useEffect, useRef } from "./react.js";
import { figure } from "./words.js";

const LARGEST_MATRIX = 16;

export function Cells({ desk }) {
  const { cells, prediction_fields: fields } = desk.about;
  const list = useRef(null);
  useEffect(() => {
    list.current.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }, [desk.cellAt]);
  const open = (cell) => desk.openCell(cell);
  const largest = Math.max(1, ...cells.map((cell) => cell.count));
  return (
    <main>
      {fields.length > 1 && (
        <label className="w-reviewer">
          Predictions
          <select aria-label="Predictions" value={desk.predictionField} onChange={(event) => desk.begin({ prediction_field: event.target.value })}>
            {fields.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
      <p className="w-muted">Labels against predictions: choose a cell (↓ ↑ and Enter), the largest first.</p>
      <div className="w-cells">
        <ul ref={list}>
          {cells.map((cell, index) => (
            <li key={index}>
              <Button data-cy="cell" aria-current={index === desk.cellAt} onClick={() => open(cell)}>
                <span className="w-bar" style={{ width: `${(100 * cell.count) / largest}%` }} />
                <b>{figure(cell.count)}</b> {cell.given} → {cell.predicted}
              </Button>
            </li>
          ))}
        </ul>
        <Matrix cells={cells} largest={largest} open={open} />
      </div>
    </main>
  );
}

function Matrix({ cells, largest, open }) {
  const names = [...new Set(cells.flatMap(({ given, predicted }) => [given, predicted]))].sort();
  if (names.length > LARGEST_MATRIX) {
    return null;
  }
  const at = (given, predicted) => cells.find((cell) => cell.given === given && cell.predicted === predicted);
  return (
    <table aria-label="Labels against predictions">
      <thead>
        <tr>
          <td className="w-muted">label ↓ predicted →</td>
          {names.map((name) => (
            <th key={name} scope="col" title={name}>
              <span>{name}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((given) => (
          <tr key={given}>
            <th scope="row" title={given}>
              {given}
            </th>
            {names.map((predicted) => {
              const cell = at(given, predicted);
              const shade = cell ? { "--w-heat": `${Math.round(15 + (70 * cell.count) / largest)}%` } : undefined;
              return (
                <td key={predicted} className={cell ? "w-heat" : ""} style={shade} onClick={() => cell && open(cell)}>
                  {cell ? figure(cell.count) : ""}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

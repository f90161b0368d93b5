// Acting on what was marked: as tags, by another split, or by deleting; told in numbers first, and then confirmed.
import { Button } from "./Button.jsx";
import { React, useEffect, useState } from "./react.js";

const PAUSE_MS = 250; // while a tag is being typed
const WAYS = {
  tag: "Tag them",
  split: "Move them to a split",
  delete: "Delete them from the dataset",
};

export function Apply({ desk }) {
  const [way, setWay] = useState(() => startingWith("tag", desk));
  const [confirmed, setConfirmed] = useState(false);
  const { plan, about, outbox } = desk;
  const unsaved = outbox.unsaved > 0;
  const choose = (chosen) => {
    setConfirmed(false);
    setWay(chosen);
  };
  useEffect(() => {
    const timer = unsaved ? null : setTimeout(() => desk.ponder(way), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [way, unsaved]);
  if (plan?.done) {
    return (
      <main>
        <p role="status" data-cy="applied" style={{ whiteSpace: "pre-line" }}>
          {plan.done}
        </p>
        <Button onClick={() => desk.show("start")}>To the start</Button>
      </main>
    );
  }
  return (
    <main className="w-apply">
      <fieldset>
        <legend>What was marked to be removed</legend>
        {Object.entries(WAYS).map(([name, title]) => (
          <label key={name}>
            <input
              type="radio"
              name="way"
              checked={way.way === name}
              onChange={() => choose(startingWith(name, desk))}
            />
            {title}
          </label>
        ))}
      </fieldset>
      {way.way === "tag" && (
        <label>
          Tag
          <input value={way.tag} onChange={(event) => choose({ ...way, tag: event.target.value })} />
        </label>
      )}
      {way.way === "split" && (
        <label>
          Split
          <select aria-label="Split" value={way.split} onChange={(event) => choose({ ...way, split: event.target.value })}>
            {about.splits.map((name) => (
              <option key={name}>{name}</option>
            ))}
            <option value="">out of every split</option>
          </select>
        </label>
      )}
      {way.way === "delete" && (
        <label>
          <input
            type="checkbox"
            checked={way.delete_files}
            onChange={(event) => choose({ ...way, delete_files: event.target.checked })}
          />
          Move the image files to Winnow's trash too
        </label>
      )}
      {unsaved && <p className="w-muted">Waiting until every decision is saved …</p>}
      {plan && <Plan plan={plan} />}
      <label>
        <input type="checkbox" checked={confirmed} onChange={(event) => setConfirmed(event.target.checked)} />
        Yes, do this
      </label>
      <Button
        kind="w-strong"
        disabled={!confirmed || unsaved || !plan?.count || Boolean(plan.refused) || plan.applying}
        onClick={() => desk.apply()}
      >
        Apply
      </Button>
      <p className="w-muted">It is one action: “Winnow: undo an action” takes it back.</p>
    </main>
  );
}

function startingWith(name, { run, about }) {
  return {
    tag: { way: "tag", tag: run.kind === "leaks" ? "leak" : "duplicate" },
    split: { way: "split", split: about.splits.at(-1) ?? "" },
    delete: { way: "delete", delete_files: false },
  }[name];
}

function Plan({ plan }) {
  if (plan.loading) {
    return <p className="w-muted">Counting …</p>;
  }
  if (plan.refused) {
    return <p className="w-warning">{plan.refused}</p>;
  }
  return (
    <div data-cy="plan">
      <p>
        <strong>{plan.sentence}</strong>
      </p>
      <ul>
        {(plan.notes ?? []).map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </div>
  );
}

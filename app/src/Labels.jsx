// One label after the other: the image, what it is called and might be, and its neighbours; or many of them as a grid.
import { Button } from "./Button.jsx";
import { ClassFilter } from "./ClassFilter.jsx";
import { Grid } from "./Grid.jsx";
import { Changes, SetChoices } from "./LabelSet.jsx";
import { Picture } from "./Picture.jsx";
import { React } from "./react.js";
import { counted, namesOf, percent, WORDS } from "./words.js";

export function Labels({ desk }) {
  const { run } = desk;
  return (
    <main className="w-review">
      {run.error && <LoadError run={run} />}
      {run.items.length > 0 && (desk.grid ? <Grid desk={desk} /> : run.item && <One desk={desk} item={run.item} />)}
      {!run.item && !run.finished && !run.error && <p className="w-muted">Loading …</p>}
      {run.finished && <Finished />}
      <Choices desk={desk} />
      {desk.filter && <ClassFilter desk={desk} />}
    </main>
  );
}

export function LoadError({ run }) {
  return (
    <p className="w-problem" role="alert">
      {run.error} <Button onClick={() => run.load()}>Try again</Button>
    </p>
  );
}

export function Finished() {
  return (
    <p className="w-finished" role="status">
      Everything here is decided.
    </p>
  );
}

function Suggestion({ item, kind }) {
  return (
    <>
      <dt>{kind === "predictions" ? "Predicted" : "Suggested"}</dt>
      <dd className="w-suggested">
        {item.suggested ?? "nothing"}
        {item.confidence !== null && item.suggested && <small> {percent(item.confidence)} sure</small>}
      </dd>
    </>
  );
}

function One({ desk, item }) {
  const { imageOf } = desk;
  return (
    <div className="w-one">
      <figure className="w-large" data-key={item.key}>
        <Picture path={item.image} label={`Image labelled ${namesOf(item)}`} imageOf={imageOf} box={item.box} />
      </figure>
      <section aria-label="What is known">
        <dl className="w-facts">
          <dt>{item.labels ? "Labels" : "Label"}</dt>
          <dd className="w-given">{item.labels ? item.labels.join(", ") || "none" : (item.label ?? "none")}</dd>
          {item.changes ? null : <Suggestion item={item} kind={desk.run.kind} />}
          {item.verdict && (
            <>
              <dt>Verdict</dt>
              <dd>{item.verdict}</dd>
            </>
          )}
          {item.split && (
            <>
              <dt>Split</dt>
              <dd>{item.split}</dd>
            </>
          )}
        </dl>
        {item.changes && <Changes desk={desk} item={item} />}
        <Decided item={item} />
        {item.neighbours.length > 0 && (
          <>
            <h3>Nearest {item.box ? "detections" : "images"} with a good label</h3>
            <ul className="w-neighbours">
              {item.neighbours.map((each) => (
                <li key={each.id}>
                  <Picture
                    path={each.image}
                    label={`Neighbour labelled ${each.label}`}
                    imageOf={imageOf}
                    box={each.box}
                    margin={0.1}
                  />
                  <span className={each.label === item.suggested ? "w-suggested" : each.label === item.label ? "w-given" : ""}>
                    {each.label}
                  </span>
                </li>
              ))}
            </ul>
          </>
        )}
      </section>
    </div>
  );
}

/** What was decided about an item, here or before, and by whom. */
export function Decided({ item }) {
  if (item.skipped) {
    return <p className="w-warning">{item.skipped}</p>;
  }
  if (item.mine) {
    const label = item.mine.label && item.mine.decision === "label" ? `: ${item.mine.label}` : "";
    return (
      <p className="w-done">
        decided: {WORDS[item.mine.decision] ?? item.mine.decision}
        {label}
      </p>
    );
  }
  const { decision, by, at } = typeof item.decision === "object" ? (item.decision ?? {}) : item;
  return decision ? (
    <p className="w-done">
      {WORDS[decision] ?? decision}
      {by && ` by ${by}`}
      {at && `, ${String(at).slice(0, 16).replace("T", " ")}`}
    </p>
  ) : null;
}

function Choices({ desk }) {
  const { run, meant } = desk;
  const count = meant.length;
  const sets = run.family === "sets";
  return (
    <footer className="w-choices">
      {count > 1 && <strong>{counted(count, "image")} selected:</strong>}
      {sets ? <SetChoices desk={desk} /> : <LabelChoices desk={desk} />}
      <Button keyCap="Z" disabled={!run.history.length} onClick={() => desk.undo()}>
        Undo
      </Button>
      <Button keyCap="G" aria-pressed={desk.grid} onClick={() => desk.toggle("grid")}>
        Grid
      </Button>
      {!sets && <Classes desk={desk} />}
    </footer>
  );
}

function LabelChoices({ desk }) {
  const { meant } = desk;
  const one = meant.length === 1 ? meant[0] : null;
  const suggested = one?.suggested;
  const none = !meant.length;
  return (
    <>
      <Button keyCap="A" kind="w-strong" disabled={none || (one && !suggested)} onClick={() => desk.decide("accept")}>
        Accept {suggested ?? "suggestions"}
      </Button>
      <Button keyCap="K" disabled={none} onClick={() => desk.decide("keep")}>
        Keep {one?.label ?? "labels"}
      </Button>
      <Button keyCap="U" disabled={none} onClick={() => desk.decide("unsure")}>
        Unsure
      </Button>
    </>
  );
}

function Classes({ desk }) {
  const none = !desk.meant.length;
  return (
    <span className="w-classes">
      {desk.favourites.map((name, index) => (
        <Button
          key={name}
          keyCap={index + 1}
          disabled={none}
          onClick={() => desk.pick(name)}
          aria-label={`Set class ${name}`}
        >
          {name}
        </Button>
      ))}
      <Button keyCap="/" disabled={none} onClick={() => desk.toggle("filter")}>
        Another class
      </Button>
    </span>
  );
}

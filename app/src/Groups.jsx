// Near-duplicates and leaks, a group at a time, each member marked to be kept or removed.
import { Button } from "./Button.jsx";
import { Decided, Finished, LoadError } from "./Labels.jsx";
import { Picture } from "./Picture.jsx";
import { React } from "./react.js";
import { counted, kilobytes, percent } from "./words.js";

const DIGITS = 9;

export function Groups({ desk }) {
  const { run } = desk;
  const { item } = run;
  return (
    <main className="w-review">
      {run.error && <LoadError run={run} />}
      {item && <Group desk={desk} item={item} />}
      {!item && !run.finished && !run.error && <p className="w-muted">Loading …</p>}
      {run.finished && <Finished />}
      <footer className="w-choices">
        <Button keyCap="Enter" kind="w-strong" disabled={!item} onClick={() => desk.decideGroup("mark")}>
          As shown
        </Button>
        <Button keyCap="D" disabled={!item} onClick={() => desk.decideGroup("apart")}>
          Not duplicates
        </Button>
        <Button keyCap="S" disabled={!item} onClick={() => desk.decideGroup("keep all")}>
          Keep all
        </Button>
        <Button keyCap="U" disabled={!item} onClick={() => desk.decideGroup("unsure")}>
          Unsure
        </Button>
        <Button keyCap="Z" disabled={!run.history.length} onClick={() => desk.undo()}>
          Undo
        </Button>
        <Button keyCap="P" onClick={() => desk.show("apply")}>
          Apply …
        </Button>
      </footer>
    </main>
  );
}

function Group({ desk, item }) {
  const marks = desk.marksOf(item);
  return (
    <section className="w-group" data-key={item.key} aria-label="Group">
      <p className="w-line">
        <strong>{counted(item.members.length, "image")}</strong>
        <span>{item.exact ? "the same picture" : item.score !== null && `best pair ${percent(item.score)} alike`}</span>
        {item.conflict && <span className="w-warning">their labels differ</span>}
        <Decided item={item} />
      </p>
      <div className="w-members">
        {item.members.map((member, index) => (
          <Member
            key={member.id}
            member={member}
            digit={index < DIGITS ? index + 1 : null}
            mark={marks[member.id] ?? "keep"}
            toggle={() => desk.toggleMember(index)}
            imageOf={desk.imageOf}
          />
        ))}
      </div>
    </section>
  );
}

function Member({ member, digit, mark, toggle, imageOf }) {
  const { image, label, split, width, height, bytes, role, similarity } = member;
  const facts = [
    width && height ? `${width} × ${height}` : null,
    bytes ? kilobytes(bytes) : null,
    similarity === null || similarity === undefined ? null : `${percent(similarity)} alike`,
  ];
  return (
    <figure className={mark === "remove" ? "w-removed" : "w-kept"} data-mark={mark}>
      <Picture path={image} label={`Image labelled ${label ?? "nothing"}`} imageOf={imageOf} />
      <figcaption>
        <Button keyCap={digit} onClick={toggle} aria-pressed={mark === "remove"}>
          {mark === "remove" ? "Remove" : "Keep"}
        </Button>
        <b>{label ?? "no label"}</b>
        {split && <span className="w-split">{split}</span>}
        {role && <span className="w-muted">{role}</span>}
        <span className="w-muted">{facts.filter(Boolean).join(", ")}</span>
        <span className="w-muted w-path" title={image}>
          {image.split("/").at(-1)}
        </span>
      </figcaption>
    </figure>
  );
}

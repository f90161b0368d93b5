// What waits, who reviews, and what to run first.
import { Button } from "./Button.jsx";
import { React } from "./react.js";
import { counted, figure } from "./words.js";

export function Start({ desk }) {
  const { about } = desk;
  if (!about) {
    return desk.error ? null : <p className="w-muted">Looking for what waits …</p>;
  }
  return (
    <main>
      <label className="w-reviewer">
        Reviewer
        <input
          value={desk.reviewer}
          maxLength={100}
          spellCheck={false}
          onChange={(event) => (desk.reviewer = event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.closest(".winnow").focus({ preventScroll: true })}
        />
        <span className="w-muted">is recorded with each decision</span>
      </label>
      {about.note && <p className="w-muted">{about.note}</p>}
      <ul className="w-queues">
        {about.queues.map((queue, index) => (
          <Queue key={queue.kind} desk={desk} queue={queue} index={index} />
        ))}
      </ul>
      {about.unsure > 0 && (
        <Button onClick={() => desk.ask("send", {})}>
          Send {counted(about.unsure, "unsure label")} to Label Studio
        </Button>
      )}
      <Button onClick={() => desk.begin()}>Look again</Button>
    </main>
  );
}

function Queue({ desk, queue, index }) {
  const { kind, title, waiting, decided, stale, run, note } = queue;
  return (
    <li data-cy={`queue-${kind}`}>
      <Button keyCap={index + 1} kind="w-strong" disabled={!waiting} onClick={() => desk.open(queue)}>
        {title}
      </Button>
      <div>
        <span>
          {figure(waiting)} waiting{decided ? `, ${figure(decided)} decided` : ""}
        </span>
        {note && <span className="w-muted">{note}</span>}
        {stale && <span className="w-warning">{stale}</span>}
      </div>
      {run && <Button onClick={() => desk.ask("first", { operator: run })}>Run it first</Button>}
    </li>
  );
}

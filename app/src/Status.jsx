// The line above every screen: how far the review is, what is saved, and what the server did not take.
import { Button } from "./Button.jsx";
import { React } from "./react.js";
import { figure, minutes } from "./words.js";

export function Status({ desk }) {
  const { run, outbox, skipped } = desk;
  return (
    <header>
      <div className="w-line">
        {desk.screen !== "start" && (
          <Button keyCap="Esc" onClick={() => desk.leave()}>
            Back
          </Button>
        )}
        <strong>{titleOf(desk)}</strong>
        {run && <Progress run={run} />}
        <span className="w-gap" />
        <span className="w-hint">click here to use the keys</span>
        {outbox && <Saved outbox={outbox} />}
        <Button keyCap="?" onClick={() => desk.toggle("help")} aria-label="Keys" title="Keys" />
      </div>
      {run && run.total > 0 && (
        <div role="progressbar" aria-label="Decided" aria-valuemax={run.total} aria-valuenow={run.decided}>
          <span style={{ width: `${(100 * Math.min(run.decided, run.total)) / run.total}%` }} />
        </div>
      )}
      {desk.said && (
        <p className="w-said" role="status">
          {desk.said}
        </p>
      )}
      {skipped.length > 0 && <Skipped desk={desk} />}
    </header>
  );
}

function titleOf({ run, about, screen }) {
  const kind = run?.kind ?? (screen === "cells" ? "predictions" : null);
  return about?.queues.find((queue) => queue.kind === kind)?.title ?? "Review";
}

function Progress({ run }) {
  const { rate, waiting, decided } = run;
  return (
    <span className="w-muted" data-cy="progress">
      {figure(decided)} done{waiting === null ? "" : `, ${figure(waiting)} waiting`}
      {rate && `, ${figure(Math.round(rate))} a minute`}
      {rate && waiting > 0 && `, about ${minutes(waiting / rate)} left`}
    </span>
  );
}

function Saved({ outbox }) {
  const { unsaved, error } = outbox;
  if (error) {
    return (
      <span className="w-problem" role="alert" data-cy="unsaved">
        {figure(unsaved)} not saved: {error}
        <Button onClick={() => outbox.retry()}>Try again</Button>
        {outbox.refused && <Button onClick={() => outbox.giveUp()}>Give these up</Button>}
      </span>
    );
  }
  return (
    <span className="w-muted" data-cy="saved" aria-live="polite">
      {unsaved ? `saving ${figure(unsaved)} …` : "all saved"}
    </span>
  );
}

function Skipped({ desk }) {
  const clear = () => {
    desk.skipped = [];
    desk.changed();
  };
  return (
    <details className="w-skipped">
      <summary>
        {figure(desk.skipped.length)} not taken by the server <Button onClick={clear}>Hide</Button>
      </summary>
      <ul>
        {desk.skipped.slice(0, 50).map(({ key, reason }) => (
          <li key={key}>{reason}</li>
        ))}
      </ul>
    </details>
  );
}

// The panel's component: it joins the desk to the App, hands keys on, and shows the screen that the desk is at.
import { Apply } from "./Apply.jsx";
import { Button } from "./Button.jsx";
import { changesOf } from "./LabelSet.jsx";
import { Cells } from "./Cells.jsx";
import { Desk } from "./desk.js";
import { Groups } from "./Groups.jsx";
import { Help } from "./Help.jsx";
import { keysOf, press } from "./keys.js";
import { Labels } from "./Labels.jsx";
import { React, useEffect, useRef, useState, useSyncExternalStore } from "./react.js";
import { Start } from "./Start.jsx";
import { Status } from "./Status.jsx";
import style from "./style.css";

const PATIENCE_MS = 60_000;
// The App builds a panel anew when it is moved or hidden; what was loaded and decided in it is kept here.
const desks = new Map();

export function Review({ schema }) {
  const panelId = window.__fosp__.usePanelId();
  const fire = window.__foo__.usePanelEvent();
  const methods = useRef(null);
  methods.current = { fire, view: schema.view };
  const [desk] = useState(() => deskOf(panelId, methods));
  const { dataset } = schema.view;
  useEffect(() => {
    desk.call = callBy(panelId, methods);
    if (desk.about && desk.about.dataset !== dataset) {
      desk.show("start");
    }
  }, [desk, dataset]);
  return <Screen desk={desk} />;
}

function deskOf(panelId, methods) {
  if (!desks.has(panelId)) {
    desks.set(panelId, new Desk(callBy(panelId, methods), window.__fos__.getSampleSrc));
  }
  return desks.get(panelId);
}

function callBy(panelId, methods) {
  return (method, params) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the server does not answer")), PATIENCE_MS);
      const callback = (answer) => {
        clearTimeout(timer);
        const failure = answer?.error ?? answer?.errorMessage;
        if (failure || !answer?.result) {
          reject(new Error(String(failure?.message ?? failure ?? "the server does not answer")));
        } else {
          resolve(answer.result);
        }
        return false; // the App need not show the error too, in place of the panel
      };
      const { fire, view } = methods.current;
      fire(panelId, { operator: view[method], params, callback });
    });
}

function Screen({ desk }) {
  useSyncExternalStore(desk.subscribe, desk.snapshot);
  const root = useRef(null);
  const { screen, run } = desk;
  const isList = screen === "review" && run.family !== "groups";
  useEffect(() => {
    if (!desk.filter) {
      const form = screen === "apply" ? root.current.querySelector("main input") : null;
      (form ?? root.current).focus({ preventScroll: true });
    }
  }, [screen, run, desk.filter, desk.help, desk.plan?.done]); // what had the focus may be gone by then
  useFullHeight(root);
  const onKeyDown = (event) => {
    if (handle(desk, event, root.current)) {
      event.preventDefault();
    }
    event.stopPropagation(); // the App has keys of its own
  };
  return (
    <div
      className="winnow"
      ref={root}
      tabIndex={0}
      role="application"
      aria-label="Winnow: review"
      data-screen={screen}
      data-saved={desk.outbox && !desk.outbox.unsaved ? "all" : "not all"}
      onKeyDown={onKeyDown}
    >
      <style>{style}</style>
      <Status desk={desk} />
      {desk.error && (
        <p className="w-problem" role="alert">
          {desk.error} <Button onClick={() => desk.begin()}>Try again</Button>
        </p>
      )}
      {screen === "start" && <Start desk={desk} />}
      {screen === "cells" && <Cells desk={desk} />}
      {isList && <Labels desk={desk} />}
      {screen === "review" && !isList && <Groups desk={desk} />}
      {screen === "apply" && <Apply desk={desk} />}
      {desk.help && <Help desk={desk} keys={keysFor(desk)} />}
    </div>
  );
}

/** Make the root as high as the panel, whose own boxes between the two are as high as what they hold. */
function useFullHeight(root) {
  useEffect(() => {
    let panel = root.current.parentElement;
    while (panel.parentElement && !["auto", "scroll"].includes(getComputedStyle(panel).overflowY)) {
      panel = panel.parentElement;
    }
    const fit = () => (root.current.style.height = `${panel.clientHeight}px`);
    const observer = new ResizeObserver(fit);
    observer.observe(panel);
    fit();
    return () => observer.disconnect();
  }, [root]);
}

function keysFor(desk) {
  return keysOf(desk.screen, desk.run?.family, desk.grid);
}

/** Act on a key; return whether it was one of ours. */
function handle(desk, event, root) {
  const { key, target } = event;
  const typed = ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName) && !["checkbox", "radio"].includes(target.type);
  if (typed) {
    if (key === "Escape") {
      root.focus({ preventScroll: true });
    }
    return false;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return false;
  }
  if (["Enter", " "].includes(key) && ["BUTTON", "INPUT", "SUMMARY"].includes(target.tagName)) {
    return false; // that button's
  }
  if (desk.help) {
    desk.toggle("help");
    return true;
  }
  if (desk.screen === "start") {
    const queue = desk.about?.queues[Number(key) - 1];
    if (queue?.waiting) {
      desk.open(queue);
      return true;
    }
  }
  if (desk.screen === "review") {
    if (/^[1-9]$/.test(key)) {
      return digit(desk, Number(key) - 1);
    }
    if (desk.grid && key.startsWith("Arrow")) {
      const columns = Number(root.querySelector("[data-columns]")?.dataset.columns ?? 1);
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
      desk.stride(by, event.shiftKey);
      return true;
    }
  }
  return press(desk, key, keysFor(desk));
}

function digit(desk, index) {
  const { family, item } = desk.run;
  if (family === "groups") {
    desk.toggleMember(index);
  } else if (family === "sets") {
    const change = item && !desk.grid && changesOf(desk, item)[index];
    if (change) {
      desk.toggleChange(change.label);
    }
  } else if (desk.favourites[index] !== undefined && desk.meant.length) {
    desk.pick(desk.favourites[index]);
  }
  return true;
}

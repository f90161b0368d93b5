// The App's own React: a second copy in the bundle would know nothing of the App's.
export const React = window.React;
export const { useEffect, useRef, useState, useSyncExternalStore } = window.React;

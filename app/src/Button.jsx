// A button with its key on it. The mouse leaves the focus where it is, so that the keys go on working after a click.
import { React } from "./react.js";

export function Button({ children, keyCap, onClick, kind = "", ...rest }) {
  return (
    <button type="button" className={`w-button ${kind}`} onMouseDown={(event) => event.preventDefault()} onClick={onClick} {...rest}>
      {keyCap && <kbd aria-hidden="true">{keyCap}</kbd>}
      {children}
    </button>
  );
}

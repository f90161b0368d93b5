// An image, or where it lies when the browser can't show it.
import { React, useEffect, useState } from "./react.js";

const MARGIN = 0.25; // of the longer side of a box, shown around it

/** `box`: left, top, width and height of the part that is meant, as shares of the image; without one it is all of it. */
export function Picture({ path, label, imageOf, box }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [path]);
  if (!failed && box) {
    return <Part path={path} label={label} imageOf={imageOf} box={box} onError={() => setFailed(true)} />;
  }
  if (failed) {
    return (
      <div className="w-unseen" role="img" aria-label={label}>
        This browser cannot show the file
        <code>{path}</code>
      </div>
    );
  }
  return <img src={imageOf(path)} alt={label} draggable={false} onError={() => setFailed(true)} />;
}

/** A part of an image with some of what lies around it. */
function Part({ path, label, imageOf, box, onError }) {
  const [size, setSize] = useState(null);
  useEffect(() => {
    setSize(null);
    const image = new Image();
    image.onload = () => setSize([image.naturalWidth, image.naturalHeight]);
    image.onerror = onError;
    image.src = imageOf(path);
    return () => (image.onload = image.onerror = null);
  }, [path]);
  if (!size) {
    return <svg role="img" aria-label={label} />;
  }
  const [width, height] = size;
  const [x, y, w, h] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
  const margin = MARGIN * Math.max(w, h);
  const shown = [x - margin, y - margin, w + 2 * margin, h + 2 * margin];
  return (
    <svg role="img" aria-label={label} viewBox={shown.join(" ")}>
      <image href={imageOf(path)} width={width} height={height} />
      <rect className="w-box" x={x} y={y} width={w} height={h} />
    </svg>
  );
}

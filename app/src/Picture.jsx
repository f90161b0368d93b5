// An image, or where it lies when the browser can't show it.
import { React, useEffect, useState } from "./react.js";

const MARGIN = 0.25;

/**
 * `box`: left, top, width and height of the part that is meant, as shares of the image; without one it is all of it.
 * `margin`: how much of what lies around the box is shown, as a share of its longer side.
 */
export function Picture({ path, label, imageOf, box, margin = MARGIN }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [path]);
  if (!failed && box) {
    return <Part path={path} label={label} imageOf={imageOf} box={box} margin={margin} onError={() => setFailed(true)} />;
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
function Part({ path, label, imageOf, box, margin, onError }) {
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
  const around = margin * Math.max(w, h);
  const shown = [x - around, y - around, w + 2 * around, h + 2 * around];
  return (
    <svg role="img" aria-label={label} viewBox={shown.join(" ")}>
      <image href={imageOf(path)} width={width} height={height} />
      <rect className="w-box" x={x} y={y} width={w} height={h} />
    </svg>
  );
}

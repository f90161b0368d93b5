// An image, or where it lies when the browser can't show it.
import { React, useEffect, useState } from "./react.js";

export function Picture({ path, label, imageOf }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [path]);
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

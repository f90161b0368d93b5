"""The usual kind of prediction server, as a peer: Flask, eight threads, one request after the other through the model.

    python -m benchmarks.usual_server ENGINE CLASSIFIER IMAGES PORT

ENGINE is `torch` (eager, its own choice of threads) or `onnx` (the same weights in ONNX Runtime, likewise). Images are
opened with Pillow and prepared with timm's own transform.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

_THREADS = 8  # as the image of Label Studio's own backend starts gunicorn


def main() -> None:
    """Serve until the process is ended."""
    engine, classifier, images, port = sys.argv[1:]
    from werkzeug.serving import make_server

    app = _app(*_model(engine, Path(classifier)), Path(images))
    make_server("127.0.0.1", int(port), app, threaded=True).serve_forever()


def _app(prepare: Callable[[Any], Any], logits_of: Callable[[Any], np.ndarray], images: Path) -> Any:
    from flask import Flask, jsonify, request
    from PIL import Image

    from .faces import CLASSES

    app = Flask("usual")
    places = threading.BoundedSemaphore(_THREADS)

    @app.get("/health")
    def health() -> Any:
        return jsonify({"status": "UP"})

    @app.post("/predict")
    def predict() -> Any:
        with places:
            return jsonify({"results": [entry(task) for task in request.get_json()["tasks"]]})

    def entry(task: dict[str, Any]) -> dict[str, Any]:
        (name,) = parse_qs(urlsplit(task["data"]["image"]).query)["d"]
        with Image.open(images / name) as image:
            logits = logits_of(prepare(image.convert("RGB"))[None])[0]
        probabilities = np.exp(logits - logits.max())
        best = int(probabilities.argmax())
        chosen = {"from_name": "c", "to_name": "i", "type": "choices", "value": {"choices": [CLASSES[best]]}}
        score = float(probabilities[best] / probabilities.sum())
        return {"result": [chosen], "score": score, "model_version": "usual"}

    return app


def _model(engine: str, folder: Path) -> tuple[Callable[[Any], Any], Callable[[Any], np.ndarray]]:
    """Return the transform, and what maps its (1, 3, h, w) tensors to (1, k) logits."""
    import torch
    from timm.data import create_transform

    from winnow import load_classifier

    classifier = load_classifier(folder)
    fitted = classifier.preprocessing.input
    prepare = create_transform(
        (3, fitted.size, fitted.size),
        mean=fitted.mean,
        std=fitted.std,
        interpolation=fitted.interpolation,
        crop_pct=fitted.crop,
    )
    network = classifier.network.eval()
    if engine == "torch":

        def eager(batch: Any) -> np.ndarray:
            with torch.inference_mode():
                return network(batch).numpy()

        return prepare, eager

    import onnxruntime

    path = folder.parent / "usual.onnx"
    torch.onnx.export(network, (torch.zeros(1, 3, fitted.size, fitted.size),), path, input_names=["x"], dynamo=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return prepare, lambda batch: session.run(None, {"x": batch.numpy()})[0]


if __name__ == "__main__":
    main()

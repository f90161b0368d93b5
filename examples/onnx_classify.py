"""Classify image files with an exported classifier, by nothing but ONNX Runtime, NumPy and Pillow.

    winnow onnx CLASSIFIER_FOLDER model.onnx
    python onnx_classify.py model.onnx photo.jpg scan.png ...

Prints one JSON object a file, the most probable class first. How a file becomes the network's input stands in the ONNX
file, and is done here to the very pixels that Winnow sees. (16-bit colour is refused, as Pillow halves its bits.)
"""

import json
import math
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path, decode, shorter_side):
    image = Image.open(path)
    if image.mode in ("RGB", "RGBA", "LA") and ";16" in str(image.tile):
        sys.exit(f"{path}: 16-bit colour; save it with 8 bits a channel")
    if decode["draft"] and image.format == "JPEG":
        scale = shorter_side / min(image.size)
        image.draft(image.mode, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
    if image.mode.startswith("I") or image.mode == "F":  # more than 8 bits: the stored range becomes black to white
        low, high = decode["value_range"] or sys.exit(
            f"{path}: more than 8 bits, and the classifier has no value range"
        )
        values = np.rint((np.asarray(image).astype(np.float32) - low) * (255.0 / (high - low)))
        narrow = Image.fromarray(np.nan_to_num(np.clip(values, 0, 255)).astype(np.uint8))
        narrow.getexif()[0x0112] = 1 if image.format == "TIFF" else image.getexif().get(0x0112, 1)
        image = narrow
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def resize(image, width, height, interpolation):  # torch's antialiased scaling of 8-bit images, in whole numbers
    for axis, after in ((1, width), (0, height)):
        scale = image.shape[axis] / after
        center, here = scale * (np.arange(after)[:, None] + 0.5), np.arange(image.shape[axis])[None]
        reach = max(scale, 1) * (2 if interpolation == "bicubic" else 1)
        x = np.abs(here - center + 0.5) / max(scale, 1)
        near, far = ((1.5 * x - 2.5) * x) * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
        weights = np.where(x < 1, near, np.where(x < 2, far, 0)) if interpolation == "bicubic" else np.maximum(1 - x, 0)
        first, last = np.maximum(np.trunc(center - reach + 0.5), 0), np.trunc(center + reach + 0.5)
        weights = np.where((here >= first) & (here < last), weights, 0)
        weights /= weights.sum(axis=1, keepdims=True)
        bits = next(b for b in range(22) if int(0.5 + weights.max() * 2 ** (b + 1)) >= 2**15)
        whole = np.trunc(weights * 2**bits + np.copysign(0.5, weights))
        image = np.moveaxis(np.tensordot(whole, image, (1, axis)), 0, axis)
        image = np.clip(np.floor(image / 2**bits + 0.5), 0, 255)
    return image.astype(np.uint8)


def middle(image, width, height):
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    return image[top : top + height, left : left + width]


def fit(image, size, mode, crop, interpolation, **normalisation):  # normalising is the network's first layer
    if mode == "squash":
        return resize(image, size, size, interpolation)
    height, width = image.shape[:2]
    shorter, side = min(height, width), int(size / crop)
    width, height = min(width, 16 * shorter), min(height, 16 * shorter)
    image = middle(image, width, height)
    return middle(resize(image, int(side * width / shorter), int(side * height / shorter), interpolation), size, size)


def main(model, *paths):
    session = onnxruntime.InferenceSession(model)
    about = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    decode, fitted = about["preprocessing"]["decode"], about["preprocessing"]["input"]
    shorter_side = fitted["size"] if fitted["mode"] == "squash" else int(fitted["size"] / fitted["crop"])
    for path in paths:
        pixels = fit(read(path, decode, shorter_side), **fitted)
        (probabilities,) = session.run(["probabilities"], {"images": pixels[None]})[0]
        best = sorted(zip(about["classes"], probabilities.tolist(), strict=True), key=lambda each: -each[1])
        print(json.dumps({"path": path, "probabilities": dict(best)}, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])

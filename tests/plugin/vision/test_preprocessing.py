from __future__ import annotations

import json
from dataclasses import fields, replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage import data
from timm.data import create_transform

from winnow.plugin.vision.decoder import Decode
from winnow.plugin.vision.preprocessing import Input, Preprocessing

OTHER_DECODE = {"value_range": (0.0, 4095.0), "max_pixels": 1000, "draft": True}
OTHER_INPUT = {
    "size": 96,
    "mode": "squash",
    "crop": 0.9,
    "interpolation": "bilinear",
    "mean": (0.1, 0.2, 0.3),
    "std": (0.4, 0.5, 0.6),
}


def photo(width: int, height: int) -> Image.Image:
    return Image.fromarray(data.chelsea()).resize((width, height))


def test_round_trip_through_json_gives_the_same_value() -> None:
    preprocessing = Preprocessing(Decode(**OTHER_DECODE), Input(**OTHER_INPUT))

    found = Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))

    assert found == preprocessing
    assert found.hash() == preprocessing.hash()


@pytest.mark.parametrize("broken", [{}, {"decode": {}, "input": {}}, {"decode": None, "input": None}])
def test_a_broken_description_is_an_error(broken: dict) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Preprocessing.from_dict(broken)


def test_the_hash_depends_on_every_field() -> None:
    start = Preprocessing()
    changed = [replace(start, decode=replace(start.decode, **{name: value})) for name, value in OTHER_DECODE.items()]
    changed += [replace(start, input=replace(start.input, **{name: value})) for name, value in OTHER_INPUT.items()]

    hashes = {one.hash() for one in (start, *changed)}

    assert {field.name for field in (*fields(Decode), *fields(Input))} == OTHER_DECODE.keys() | OTHER_INPUT.keys()
    assert len(hashes) == 1 + len(OTHER_DECODE) + len(OTHER_INPUT)


@pytest.mark.parametrize("shape", [(451, 300), (300, 451), (28, 28), (224, 224), (333, 1000)])
@pytest.mark.parametrize(("size", "crop", "interpolation"), [(224, 0.875, "bicubic"), (160, 0.95, "bilinear")])
def test_crop_equals_timms_evaluation_transform(
    shape: tuple[int, int], size: int, crop: float, interpolation: str
) -> None:
    image = photo(*shape)
    reference = create_transform(size, interpolation=interpolation, crop_pct=crop, mean=(0, 0, 0), std=(1, 1, 1))

    found = Input(size, "crop", crop, interpolation).fit(np.array(image)).astype(int)

    expected = (reference(image).numpy() * 255).round().transpose(1, 2, 0)
    assert np.abs(found - expected).max() <= 2  # two kernels round in their own way
    assert np.abs(found - expected).mean() < 0.2


def test_squash_keeps_the_whole_image() -> None:
    left_to_right = np.tile(np.repeat(np.array([0, 255], np.uint8), 100), (50, 1))

    found = Input(32, "squash", interpolation="bilinear").fit(np.repeat(left_to_right[:, :, None], 3, axis=2))

    assert found.shape == (32, 32, 3)
    assert (found[:, :15] == 0).all()
    assert (found[:, 17:] == 255).all()


@pytest.mark.parametrize("shape", [(60_000, 1), (1, 60_000), (1, 1)])
@pytest.mark.parametrize("mode", ["crop", "squash"])
def test_no_shape_of_image_is_too_long_to_fit(shape: tuple[int, int], mode: str) -> None:
    found = Input(64, mode).fit(np.array(Image.new("RGB", shape, (9, 8, 7))))

    assert np.unique(found.reshape(-1, 3), axis=0).tolist() == [[9, 8, 7]]


def test_a_file_becomes_8_bit_pixels() -> None:
    buffer = BytesIO()
    photo(100, 80).save(buffer, "PNG")

    found = Preprocessing().with_size(48)(buffer)

    assert (found.shape, found.dtype) == ((48, 48, 3), np.uint8)


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"mode": "stretch"}, {"crop": 0.0}, {"crop": 1.1}, {"interpolation": "nearest"}]
)
def test_an_impossible_input_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Input(**wrong)

"""The files in a classifier's folder; a module of its own, as whoever only looks for them should not load torch."""

DESCRIPTION = "classifier.json"
WEIGHTS = "model.safetensors"
LOGS = "logs"  # folder with the curves of its training
EXPORTED = "model.onnx"  # what `training.export` may have made of it
REFERENCE = "reference.safetensors"  # what the images looked like that it was trained for, see `training.reference`

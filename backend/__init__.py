"""The Label Studio ML backend: HTTP in front of one classifier. Never imports fiftyone, so it needs no MongoDB."""

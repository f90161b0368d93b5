"""The environment, read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from winnow.backend.settings import Settings, SettingsError


def test_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"BASIC_AUTH_USER": "", "LABEL_STUDIO_URL": " "}) == Settings()


def test_every_setting_is_read(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "BASIC_AUTH_USER": "anna",
            "BASIC_AUTH_PASS": "secret",
            "LABEL_STUDIO_URL": "http://studio:8080/sub/",
            "LABEL_STUDIO_API_KEY": "a.b.c",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(tmp_path),
            "WINNOW_LABEL_STUDIO_PUBLIC_URL": "https://label.example.org",
            "WINNOW_LABEL_STUDIO_PROXY": "http://proxy:3128",
            "WINNOW_CA_FILE": __file__,
            "WINNOW_ORIGINALS_ROOT": str(tmp_path),
            "WINNOW_IMAGE_CACHE": str(tmp_path / "cache"),
            "WINNOW_IMAGE_CACHE_MB": "0",
            "WINNOW_MAX_IMAGE_MEGAPIXELS": "7",
            "WINNOW_IMAGE_HOSTS": "images.example.org, 10.1.0.0/16",
            "WINNOW_MAX_IMAGE_MB": "1",
            "WINNOW_MAX_REQUEST_MB": "2",
            "WINNOW_MAX_WAITING": "3",
            "WINNOW_BATCH_SIZE": "4",
            "WINNOW_REQUEST_SECONDS": "5",
            "WINNOW_SHUTDOWN_SECONDS": "6",
            "WINNOW_ROOT_PATH": "/tools/winnow/",
            "WINNOW_LOG_FORMAT": "json",
        }
    )

    assert settings.basic_auth == ("anna", "secret")
    assert (settings.label_studio_url, settings.label_studio_token) == ("http://studio:8080/sub", "a.b.c")
    assert settings.label_studio_public_url == "https://label.example.org"
    assert settings.label_studio_proxy == "http://proxy:3128"
    assert (settings.document_root, settings.originals_root, settings.ca_file) == (tmp_path, tmp_path, Path(__file__))
    assert (settings.image_cache, settings.image_cache_bytes) == (tmp_path / "cache", 0)
    assert settings.max_image_pixels == 7_000_000
    assert settings.image_hosts.names == {"images.example.org"}
    assert [str(network) for network in settings.image_hosts.networks] == ["10.1.0.0/16"]
    assert (settings.max_image_bytes, settings.max_request_bytes) == (2**20, 2 * 2**20)
    assert (settings.max_waiting, settings.batch_size) == (3, 4)
    assert (settings.request_seconds, settings.shutdown_seconds) == (5, 6)
    assert (settings.root_path, settings.log_format) == ("/tools/winnow", "json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASIC_AUTH_USER", "anna"),
        ("LABEL_STUDIO_URL", "studio:8080"),
        ("LABEL_STUDIO_URL", "http://anna:pw@studio"),
        ("LABEL_STUDIO_URL", "http://[::1"),
        ("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", "/no/such/folder"),
        ("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", "/"),
        ("WINNOW_ORIGINALS_ROOT", "/no/such/folder"),
        ("WINNOW_LABEL_STUDIO_BASIC_AUTH", "anna"),
        ("WINNOW_CA_FILE", "/no/such/file"),
        ("WINNOW_IMAGE_CACHE_MB", "-1"),
        ("WINNOW_MAX_IMAGE_MEGAPIXELS", "0"),
        ("WINNOW_IMAGE_HOSTS", "http://images.example.org"),
        ("WINNOW_MAX_WAITING", "0"),
        ("WINNOW_ROOT_PATH", "winnow"),
        ("WINNOW_ROOT_PATH", "/winnow/../x"),
        ("WINNOW_LOG_FORMAT", "xml"),
        ("WINNOW_BATCH_SIZE", "many"),
        ("WINNOW_TRAIN_AFTER", "0"),
        ("WINNOW_TRAIN_PRESET", "best"),
        ("WINNOW_TRAIN_NICENESS", "-5"),
        ("WINNOW_HELD_OUT_PERCENT", "60"),
        ("WINNOW_BLIND_PERCENT", "30"),
        ("WINNOW_AUTO_PROMOTE", "always"),
        ("WINNOW_REMEMBER_DAYS", "ever"),
        ("WINNOW_REMEMBER_MB", "0"),
        ("WINNOW_TRAIN_BELOW_ACCURACY_PERCENT", "101"),
        ("WINNOW_TRAIN_BELOW_ACCURACY_PERCENT", "90"),
        ("WINNOW_TRAIN_ON_DRIFT", "1"),
        ("WINNOW_TRAIN_DRY_RUN", "yes"),
    ],
)
def test_malformed_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_causes_to_train_that_go_by_what_is_remembered_are_read() -> None:
    causes = {"WINNOW_TRAIN_BELOW_ACCURACY_PERCENT": "90", "WINNOW_TRAIN_ON_DRIFT": "1", "WINNOW_TRAIN_DRY_RUN": "1"}

    settings = Settings.from_environment(causes | {"WINNOW_REMEMBER_DAYS": "30", "WINNOW_REMEMBER_MB": "1"})

    assert (settings.remember.days, settings.remember.most_bytes) == (30, 2**20)
    plan = settings.learning
    assert (plan.below_accuracy, plan.on_drift, plan.dry_run) == (0.9, True, True)


def test_training_from_annotations_needs_label_studios_address_and_token() -> None:
    address = {"LABEL_STUDIO_URL": "http://studio:8080"}

    learns = [Settings.from_environment(each).learns for each in ({}, address, address | {"LABEL_STUDIO_API_KEY": "a"})]

    assert learns == [False, False, True]


def test_secrets_are_not_shown_when_settings_are_printed() -> None:
    settings = Settings(
        basic_auth=("anna", "hidden-password"),
        label_studio_token="hidden-token",
        label_studio_basic_auth=("anna", "hidden-password"),
        label_studio_proxy="http://anna:hidden-password@proxy",
    )

    assert "hidden" not in repr(settings)


def test_password_of_a_proxy_and_a_token_exclude_each_other() -> None:
    environment = {"WINNOW_LABEL_STUDIO_BASIC_AUTH": "anna:pw:x"}

    assert Settings.from_environment(environment).label_studio_basic_auth == ("anna", "pw:x")
    with pytest.raises(SettingsError, match="both set"):
        Settings.from_environment(environment | {"LABEL_STUDIO_API_KEY": "a.b.c"})

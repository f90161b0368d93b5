"""The backend's settings; the environment is read here, once, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..plugin.errors import WinnowError
from ..plugin.labeling.connecting import plain_address
from ..plugin.labeling.host_rules import HostRules
from ..plugin.machine import available_cores
from ..plugin.training.recipe import PRESETS
from .learning_plan import NO_WORSE, LearningPlan
from .remembering import RememberPlan
from .store_address import StoreAddress, store_address

LOG_FORMATS = ("text", "json")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


class SettingsError(WinnowError):
    """A setting that is malformed, or that would leave the backend open."""


@dataclass(frozen=True)
class Settings:
    """Everything the operator decides. Names in the environment are given in brackets.

    Attributes:
        basic_auth: User and password that every call but `/health` must bring [BASIC_AUTH_USER, BASIC_AUTH_PASS].
        label_studio_url: Where Label Studio is reached from here [LABEL_STUDIO_URL]. The address that Label Studio
            sends to /setup is not used: whoever can call the backend could have the token sent anywhere.
        label_studio_token: Personal access token or legacy token, to fetch uploads [LABEL_STUDIO_API_KEY].
        document_root: The folder that Label Studio serves as local files, as it is mounted here
            [LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT].
        label_studio_public_url: Where people reach the same Label Studio, if that is elsewhere, as from outside of
            Docker [WINNOW_LABEL_STUDIO_PUBLIC_URL].
        label_studio_proxy: Address of the proxy that Label Studio is reached through [WINNOW_LABEL_STUDIO_PROXY].
        label_studio_basic_auth: User and password for a proxy in front of Label Studio that logs in there itself
            [WINNOW_LABEL_STUDIO_BASIC_AUTH, as user:password]. Not beside a token: one request has one `Authorization`.
        ca_file: Certificates of a private CA, trusted beside the system's [WINNOW_CA_FILE]. OpenSSL itself reads
            SSL_CERT_FILE, which replaces the system's.
        originals_root: The folder below which the originals of display copies lie; the document root where it is not
            set [WINNOW_ORIGINALS_ROOT].
        image_cache: Folder for images that were downloaded [WINNOW_IMAGE_CACHE].
        image_cache_bytes: It holds no more than that; 0 = nothing is kept [WINNOW_IMAGE_CACHE_MB].
        image_hosts: Other hosts that images may be fetched from [WINNOW_IMAGE_HOSTS, with commas].
        max_image_bytes: Larger images are not read [WINNOW_MAX_IMAGE_MB].
        max_image_pixels: Images of more are refused before they are decoded [WINNOW_MAX_IMAGE_MEGAPIXELS].
        max_request_bytes: Larger requests are refused [WINNOW_MAX_REQUEST_MB].
        max_waiting: Images that may wait for the classifier; requests beyond are answered 503 at once
            [WINNOW_MAX_WAITING].
        batch_size: Most images in a forward pass of a GPU [WINNOW_BATCH_SIZE].
        request_seconds: A prediction request is answered by then, with what there is: Label Studio waits 100 s
            [WINNOW_REQUEST_SECONDS].
        shutdown_seconds: How long the server waits for requests in hand when it is told to stop
            [WINNOW_SHUTDOWN_SECONDS].
        root_path: Sub-path under which a proxy serves the backend, such as `/winnow`; requests with it and without it
            are answered alike [WINNOW_ROOT_PATH].
        log_format: `text` or `json` [WINNOW_LOG_FORMAT].
        learning: When and how to train from annotations, which is done where Label Studio's address and token are known
            [WINNOW_TRAIN_AFTER annotations, WINNOW_TRAIN_QUIET_SECONDS, WINNOW_TRAIN_PRESET, WINNOW_TRAIN_THREADS,
            WINNOW_TRAIN_NICENESS, WINNOW_GROUP_KEY, WINNOW_HELD_OUT_PERCENT, WINNOW_HELD_OUT_LEAST images,
            WINNOW_BLIND_PERCENT, WINNOW_AUTO_PROMOTE, WINNOW_AUTO_PROMOTE_MARGIN_PERCENT,
            WINNOW_TRAIN_BELOW_ACCURACY_PERCENT, WINNOW_TRAIN_ON_DRIFT, WINNOW_TRAIN_DRY_RUN].
        store: Address of the database in which several replicas keep events and promotions; None = there is but one
            server, which keeps a file in its state folder [WINNOW_STORE, or WINNOW_STORE_FILE, a file that holds it].
        remember: What is kept of predictions, so that annotators' answers can be laid beside them
            [WINNOW_REMEMBER_DAYS, WINNOW_REMEMBER_MB].
    """

    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    label_studio_url: str | None = None
    label_studio_token: str | None = field(default=None, repr=False)
    document_root: Path | None = None
    label_studio_public_url: str | None = None
    label_studio_proxy: str | None = field(default=None, repr=False)
    label_studio_basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    originals_root: Path | None = None
    image_cache: Path | None = None
    image_cache_bytes: int = 1024 * 1024 * 1024
    image_hosts: HostRules = field(default_factory=HostRules)
    max_image_bytes: int = 32 * 1024 * 1024
    max_image_pixels: int = 100_000_000
    max_request_bytes: int = 64 * 1024 * 1024
    max_waiting: int = 4096
    batch_size: int = 32
    request_seconds: int = 90
    shutdown_seconds: int = 20
    root_path: str = ""
    log_format: str = "text"
    learning: LearningPlan = field(default_factory=LearningPlan)
    remember: RememberPlan = field(default_factory=RememberPlan)
    store: StoreAddress | None = None

    def __post_init__(self) -> None:
        if self.root_path and not _ROOT_PATH.fullmatch(self.root_path):
            raise SettingsError(
                f"--root-path or WINNOW_ROOT_PATH is '{self.root_path}'; it must look like /winnow or /tools/winnow."
            )
        if self.log_format not in LOG_FORMATS:
            raise SettingsError(
                f"--log-format or WINNOW_LOG_FORMAT is '{self.log_format}'; it must be {' or '.join(LOG_FORMATS)}."
            )
        if self.store is not None and self.remember.days:
            raise SettingsError(
                "WINNOW_REMEMBER_DAYS is set beside a store that replicas share. What is remembered lies in a file of "
                "one server, and an answer may come to another replica than the one that predicted. Set it to 0, or "
                "run one server without WINNOW_STORE."
            )

    @property
    def learns(self) -> bool:
        """Whether annotations can be read, so that a classifier can be trained from them."""
        return self.label_studio_url is not None and self.label_studio_token is not None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; what is not set, or set to nothing, keeps its default.

        Raises:
            SettingsError: Names the variable, what is wrong with it, and what it should hold.
            StoreAddressError: The same of the store's address, of which it tells nothing.
        """
        return cls(
            basic_auth=_basic_auth(environment),
            label_studio_url=_url(environment, "LABEL_STUDIO_URL"),
            label_studio_token=environment.get("LABEL_STUDIO_API_KEY") or None,
            document_root=_folder(environment, "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"),
            label_studio_public_url=_url(environment, "WINNOW_LABEL_STUDIO_PUBLIC_URL"),
            label_studio_proxy=environment.get("WINNOW_LABEL_STUDIO_PROXY", "").strip() or None,
            label_studio_basic_auth=_label_studio_basic_auth(environment),
            ca_file=_file(environment, "WINNOW_CA_FILE"),
            originals_root=_folder(environment, "WINNOW_ORIGINALS_ROOT"),
            image_cache=_path(environment, "WINNOW_IMAGE_CACHE"),
            image_cache_bytes=_whole(environment, "WINNOW_IMAGE_CACHE_MB", 1024) * 1024 * 1024,
            image_hosts=_hosts(environment, "WINNOW_IMAGE_HOSTS"),
            max_image_bytes=_positive(environment, "WINNOW_MAX_IMAGE_MB", 32) * 1024 * 1024,
            max_image_pixels=_positive(environment, "WINNOW_MAX_IMAGE_MEGAPIXELS", 100) * 1_000_000,
            max_request_bytes=_positive(environment, "WINNOW_MAX_REQUEST_MB", 64) * 1024 * 1024,
            max_waiting=_positive(environment, "WINNOW_MAX_WAITING", cls.max_waiting),
            batch_size=_positive(environment, "WINNOW_BATCH_SIZE", cls.batch_size),
            request_seconds=_positive(environment, "WINNOW_REQUEST_SECONDS", cls.request_seconds),
            shutdown_seconds=_positive(environment, "WINNOW_SHUTDOWN_SECONDS", cls.shutdown_seconds),
            root_path=environment.get("WINNOW_ROOT_PATH", "").strip().rstrip("/"),
            log_format=environment.get("WINNOW_LOG_FORMAT", "").strip() or cls.log_format,
            learning=_learning(environment),
            remember=RememberPlan(
                _whole(environment, "WINNOW_REMEMBER_DAYS", 0),
                _positive(environment, "WINNOW_REMEMBER_MB", 512) * 1024 * 1024,
            ),
            store=store_address(environment),
        )


def _learning(environment: Mapping[str, str]) -> LearningPlan:
    usual = LearningPlan(threads=max(1, available_cores() // 2))
    percent = _positive(environment, "WINNOW_HELD_OUT_PERCENT", round(100 * usual.held_out_share))
    if percent > 50:
        raise SettingsError(f"WINNOW_HELD_OUT_PERCENT is {percent}; at most half of the images can be held out.")
    blind = _whole(environment, "WINNOW_BLIND_PERCENT", 0)
    if blind > percent:
        raise SettingsError(
            f"WINNOW_BLIND_PERCENT is {blind}; it is a part of WINNOW_HELD_OUT_PERCENT ({percent}). Lower it."
        )
    below = _whole(environment, "WINNOW_TRAIN_BELOW_ACCURACY_PERCENT", 0)
    if below > 100:
        raise SettingsError(
            f"WINNOW_TRAIN_BELOW_ACCURACY_PERCENT is {below}; it must be from 1 to 100, or 0 for never."
        )
    if not _whole(environment, "WINNOW_REMEMBER_DAYS", 0) and (below or _switch(environment, "WINNOW_TRAIN_ON_DRIFT")):
        raise SettingsError(
            "WINNOW_TRAIN_BELOW_ACCURACY_PERCENT and WINNOW_TRAIN_ON_DRIFT go by what is remembered of predictions, "
            "and WINNOW_REMEMBER_DAYS is 0. Set it, such as to 30."
        )
    return LearningPlan(
        least_annotations=_positive(environment, "WINNOW_TRAIN_AFTER", usual.least_annotations),
        quiet_seconds=_positive(environment, "WINNOW_TRAIN_QUIET_SECONDS", round(usual.quiet_seconds)),
        preset=_one_of(environment, "WINNOW_TRAIN_PRESET", tuple(PRESETS)) or usual.preset,
        group_key=environment.get("WINNOW_GROUP_KEY", "").strip() or None,
        held_out_share=percent / 100,
        held_out_least=_positive(environment, "WINNOW_HELD_OUT_LEAST", usual.held_out_least),
        threads=_positive(environment, "WINNOW_TRAIN_THREADS", usual.threads),
        blind_share=blind / 100,
        niceness=min(_whole(environment, "WINNOW_TRAIN_NICENESS", usual.niceness), 19),
        auto_promote=_one_of(environment, "WINNOW_AUTO_PROMOTE", (NO_WORSE,)),
        auto_promote_margin=_positive(environment, "WINNOW_AUTO_PROMOTE_MARGIN_PERCENT", 1) / 100,
        below_accuracy=below / 100,
        on_drift=_switch(environment, "WINNOW_TRAIN_ON_DRIFT"),
        dry_run=_switch(environment, "WINNOW_TRAIN_DRY_RUN"),
    )


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip() or "0"
    if value not in ("0", "1"):
        raise SettingsError(f"{name} is '{value}'; it must be 1 (on) or 0 (off).")
    return value == "1"


def _one_of(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = environment.get(name, "").strip()
    if value and value not in choices:
        raise SettingsError(f"{name} is '{value}'; it must be {' or '.join(choices)}, or not set.")
    return value or None


def _basic_auth(environment: Mapping[str, str]) -> tuple[str, str] | None:
    user, password = environment.get("BASIC_AUTH_USER", ""), environment.get("BASIC_AUTH_PASS", "")
    if bool(user) != bool(password):
        raise SettingsError("only one of BASIC_AUTH_USER and BASIC_AUTH_PASS is set. Set both, or neither.")
    if ":" in user:
        raise SettingsError("BASIC_AUTH_USER must not hold a colon: HTTP could not tell it from the password.")
    return (user, password) if user else None


def _label_studio_basic_auth(environment: Mapping[str, str]) -> tuple[str, str] | None:
    name = "WINNOW_LABEL_STUDIO_BASIC_AUTH"
    value = environment.get(name, "")
    if not value:
        return None
    user, colon, password = value.partition(":")
    if not (user and colon):
        raise SettingsError(f"{name} must hold user:password.")
    if environment.get("LABEL_STUDIO_API_KEY"):
        raise SettingsError(
            f"{name} and LABEL_STUDIO_API_KEY are both set, but a request has one Authorization header. Have the proxy "
            "add Label Studio's token, or let what brings a token pass it without a password."
        )
    return user, password


def _url(environment: Mapping[str, str], name: str) -> str | None:
    value = environment.get(name, "").strip()
    if not value:
        return None
    address = plain_address(value)
    if address is None:
        raise SettingsError(f"{name} is not a plain http(s) address. Set it to e.g. http://localhost:8080.")
    return address


def _folder(environment: Mapping[str, str], name: str) -> Path | None:
    folder = _path(environment, name)
    if folder is None:
        return None
    if not folder.is_dir():
        raise SettingsError(f"{name} is '{folder}', which is no folder. Set it to the folder as it is mounted here.")
    if folder.resolve() == Path(folder.resolve().anchor):
        raise SettingsError(f"{name} is '{folder}', the whole disk. Set it to the folder that holds the images.")
    return folder


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    path = _path(environment, name)
    if path is not None and not path.is_file():
        raise SettingsError(f"{name} is '{path}', which is no file. Set it to the file as it is mounted here.")
    return path


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name, "").strip()
    return Path(value).expanduser() if value else None


def _hosts(environment: Mapping[str, str], name: str) -> HostRules:
    entries = [entry.strip() for entry in environment.get(name, "").split(",") if entry.strip()]
    try:
        return HostRules.from_entries(entries)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}. Separate several with commas.") from None


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    number = _whole(environment, name, default)
    if number == 0:
        raise SettingsError(f"{name} is 0; it must be a whole number above 0 (default {default}).")
    return number


def _whole(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit()):
        raise SettingsError(f"{name} is '{value}'; it must be a whole number (default {default}).")
    return int(value)

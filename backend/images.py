"""Where the backend's images come from, in the server and in the processes that train."""

from __future__ import annotations

from ..plugin.home import winnow_home
from ..plugin.labeling.downloads import Downloader, DownloadLimits
from ..plugin.labeling.image_cache import ImageCache
from ..plugin.labeling.image_sources import ImageSources
from ..plugin.labeling.trust import Trust
from .settings import Settings


def image_sources(settings: Settings) -> ImageSources:
    """Return what the settings allow; to be closed.

    Raises:
        TrustError: A CA file or a proxy address that cannot be used.
    """
    downloader = Downloader(
        settings.label_studio_url,
        settings.label_studio_token,
        settings.image_hosts,
        DownloadLimits(max_bytes=settings.max_image_bytes),
        public_url=settings.label_studio_public_url,
        basic_auth=settings.label_studio_basic_auth,
        trust=Trust(settings.ca_file, settings.label_studio_proxy),
    )
    folder = settings.image_cache or winnow_home() / "serving" / "images"
    return ImageSources(
        downloader,
        settings.document_root,
        settings.max_image_bytes,
        originals_root=settings.originals_root,
        cache=ImageCache(folder, settings.image_cache_bytes) if settings.image_cache_bytes else None,
        max_pixels=settings.max_image_pixels,
    )

"""pretix's settings without its bundling of styles and scripts, which needs Node and no fan of the bench loads."""

from pretix.settings import *  # noqa: F403

COMPRESS_ENABLED = False
COMPRESS_OFFLINE = False

"""pretix's settings without mail, and without its bundling of styles and scripts, which needs Node and no fan loads."""

from pretix.settings import *  # noqa: F403

COMPRESS_ENABLED = False
COMPRESS_OFFLINE = False
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

"""The edge: caches before the site, the keys by which they know what shows an event, and the news they are sent."""

"""The search's index at Elasticsearch: its settings, what stands in it, and how it follows the events."""

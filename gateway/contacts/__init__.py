"""Where fans are told by mail and SMS, and what they want to be told."""

"""Messages to fans: their kinds, whom they reach, and where each stands on its way."""

"""What a gateway process keeps for itself: its clock, the news it listens to, its end."""

"""The line of each event: rooms, the door, joining, places, streams, draws, history."""

"""The gateway's side of the line: rooms, the door, joining, places, streams, draws, history."""

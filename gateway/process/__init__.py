"""What belongs to a gateway process as such: its clock, the hub of its news, and its end."""

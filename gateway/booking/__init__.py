"""The gateway's side of booking: it sends commands to their lanes and reads a fan's holds, purchases and jobs."""

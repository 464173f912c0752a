"""`admitone doctor`: finds what is down, behind or misconfigured for production, each with the way to mend it."""

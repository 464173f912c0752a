"""`admitone doctor`: what is up, what is behind, what is misconfigured for production, each with the fix."""

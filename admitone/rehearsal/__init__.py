"""A sale rehearsed on a copy of its event, by simulated fans, with a verdict at its end (``admitone rehearse``)."""

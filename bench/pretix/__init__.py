"""A shop that we did not write, pretix, behind Debian's nginx: with Admit One's check before it, and without."""

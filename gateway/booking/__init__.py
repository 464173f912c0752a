"""Commands into their lanes, and the fan's own holds, purchases and jobs back."""

"""Events as they are searched: their words, folded to one spelling, and the statements that find events by them."""

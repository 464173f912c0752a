"""Events as operators make and change them."""

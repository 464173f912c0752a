"""The pages that fans and operators see."""

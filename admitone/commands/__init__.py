"""The commands of `admitone`, one module for each group. `admitone.cli` gives them their names."""

"""What `admitone` can be told to do, a module for each group of commands. `admitone.cli` names the commands."""

"""Sessions of fans and operators, and the guards that require one."""

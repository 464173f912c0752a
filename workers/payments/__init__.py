"""The cashier: a process of its own that asks payment providers, so that no booking waits for one."""

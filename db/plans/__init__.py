"""Hall plans: where each seat of an event stands, what it is called there, and what fans see around it."""

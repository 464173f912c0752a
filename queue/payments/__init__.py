"""Payment providers behind one interface (`provider`), and the settings by which a site uses them (`settings`)."""

"""What makes the pages a site's own: its name, colour, logo and legal pages."""

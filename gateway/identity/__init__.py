"""Who asks: sessions and how they are proved."""

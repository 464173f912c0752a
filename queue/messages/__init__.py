"""What fans are told by mail, SMS and web push: the words, how they look, and the links in them."""

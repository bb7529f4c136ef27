"""Pure order mathematics: what is known of one order, and what a group of orders asks for next."""

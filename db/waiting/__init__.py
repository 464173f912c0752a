"""The waiting list of a sold-out event: its entries, the chain that proves their order, and what gateways read."""

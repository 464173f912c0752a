"""Vouchers as operators issue, count and revoke them; a batch redeems them (`db.booking.vouchers`)."""

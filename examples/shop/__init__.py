"""The example shop: basket, checkout, payment, approval and shipping, end to end."""

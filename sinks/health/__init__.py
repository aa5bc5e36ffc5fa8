"""Route health: how every (tenant, sender, carrier, country) delivers, told to whoever pauses or reroutes."""

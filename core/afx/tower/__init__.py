"""The engine room: agents, terminals, reconnecting and what decides about them. No HTTP in it."""

"""The Tower's door for machines and browsers: HTTP, server-sent events and WebSockets."""

"""The other side of the Tower's door: what a program uses to talk to it."""

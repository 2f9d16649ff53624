"""The Tower's side of the wire to a holder: connections, onlookers, and where holders are found."""

"""The networks and the baselines they are compared with."""

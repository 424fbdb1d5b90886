"""Where the plan's constants come from: runs against a server of our own, what they took, and the fit."""

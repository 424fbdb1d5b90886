"""What can be given and bought, and for how much: pure data and rules, no network, no clock."""

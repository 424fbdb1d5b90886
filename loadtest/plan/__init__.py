"""The capacity plan: what a deployment needs for so many viewers, rooms and gifts a second, and what breaks first."""

"""Commands that look at a deployment or change it, and end."""
